/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *output_name(const struct output *o)
{
	return strcmp(o->path, "-") ? o->path : "stdout";
}

int output__open(struct output *o, const char *path, enum format format, enum format otherwise,
		 struct refusal *why)
{
	int to_stdout = !strcmp(path, "-");

	*o = (struct output){ .path = path, .format = format, .fd = -1 };
	if (o->format == FORMAT_NONE)
		o->format = format_from_path(path);
	if (o->format == FORMAT_NONE)
		o->format = otherwise;
	if (o->format == FORMAT_NONE)
		return refuse(why, EXIT_USAGE, "choose one with -f, or name the file .svg, .pb.gz, ...",
			      "which format? There are %s", format_names());
	if (to_stdout && format_is_binary(o->format) && isatty(STDOUT_FILENO))
		return refuse(why, EXIT_USAGE, "write it to a file with -o, or through a pipe",
			      "%s is not for a terminal", format_name(o->format));
	/*
	 * Of a recording only whether it can be written: SQLite opens it again, and knows whether it
	 * may replace what is there.
	 */
	if (to_stdout)
		o->fd = dup(STDOUT_FILENO);
	else
		o->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	o->made = !to_stdout && o->fd >= 0;
	/* O_CREAT: in /tmp the kernel then keeps out of files of others (fs.protected_regular). */
	if (o->fd < 0 && errno == EEXIST)
		o->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (o->fd < 0)
		return refuse(why, EXIT_FAILED, "", "can't write %s: %s", output_name(o),
			      strerror(errno));
	return 0;
}

FILE *output_begin(struct output *o, struct refusal *why)
{
	struct stat st;
	FILE *file = NULL;

	/* Of what is no file (a pipe, a device) there is nothing to empty. */
	if (strcmp(o->path, "-") != 0 && !fstat(o->fd, &st) && S_ISREG(st.st_mode) &&
	    ftruncate(o->fd, 0))
		goto fail;
	file = fdopen(o->fd, "w");
	if (!file)
		goto fail;
	o->fd = -1;
	o->made = 0;
	return file;
fail:
	refuse(why, EXIT_FAILED, "", "can't write %s: %s", output_name(o), strerror(errno));
	return NULL;
}

void output_keep(struct output *o)
{
	o->made = 0;
}

int output_reader_left(FILE *file)
{
	struct pollfd pipe = { .fd = fileno(file) };

	return poll(&pipe, 1, 0) > 0 && pipe.revents & POLLERR;
}

int output_end(struct output *o, FILE *file, struct refusal *why)
{
	if (fclose(file) && errno != EPIPE)
		return refuse(why, EXIT_FAILED, "", "can't write %s: %s", output_name(o),
			      strerror(errno));
	return 0;
}

void output__close(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->made)
		unlink(o->path);
	o->made = 0;
	o->fd = -1;
}
