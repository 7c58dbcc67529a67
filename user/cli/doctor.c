/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * doctor gathers what it finds in one JSON object, and text is a rendering of
 * it: so the two can't say different things.
 */
#include "cli/doctor.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "kernel/features.h"
#include "target/interpreter.h"
#include "target/memory.h"
#include "target/process.h"

static const char *kernel_release(void)
{
	static struct utsname name;

	return uname(&name) ? "unknown" : name.release;
}

void doctor_print_version(FILE *out)
{
	fprintf(out, "asyncprof %s (kernel %s, libbpf %s)\n", ASYNCPROF_VERSION, kernel_release(),
		features_libbpf_version());
}

static json_t *json_features(void)
{
	json_t *list = json_array();
	int i;

	for (i = 0; i < FEATURE_CNT; i++) {
		struct feature_row row = feature_row((enum feature)i);

		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:b, s:s, s:s, s:s, s:s}", "name",
						row.name, "ok", row.works, "required", row.required,
						"what_for", row.what_for, "since", row.since, "why",
						row.why, "remedy", row.works ? "" : row.remedy));
	}
	return list;
}

static const char *cost_words(enum site_cost cost)
{
	return cost == SITE_EMULATED  ? "emulated"
	       : cost == SITE_STEPPED ? "single-stepped"
				      : "none";
}

static void add_site(json_t *list, const struct site *site)
{
	char bytes[2 * SITE_BYTES + 1] = "";
	uint32_t i;

	if (site->cost == SITE_NONE)
		return;
	for (i = 0; i < site->byte_cnt && i < SITE_BYTES; i++)
		snprintf(bytes + 2 * i, 3, "%02x", site->bytes[i]);
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:i, s:s, s:s, s:s}", "name", site->name,
				"file", site->file, "offset", (json_int_t)site->offset, "address",
				(json_int_t)site->vaddr, "entry", (json_int_t)site->entry,
				"skipped", (int)site->skipped, "bytes", bytes, "insn", site->insn,
				"cost", cost_words(site->cost)));
}

static const char *asyncio_words(enum asyncio_build build)
{
	switch (build) {
	case ASYNCIO_LIBRARY:
		return "library";
	case ASYNCIO_BUILT_IN:
		return "built in";
	default:
		return "not loaded";
	}
}

static void add_interpreter(json_t *target, json_t *degraded, json_t *sites,
			    const struct interpreter *in)
{
	unsigned int i;

	json_object_update_new(target, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:b, s:s}",
						 "version", in->version_text, "build",
						 in->stripped ? "stripped" : "with symbols", "file",
						 in->file, "build_id", in->build_id, "stripped",
						 in->stripped, "shared", in->shared, "asyncio",
						 asyncio_words(in->asyncio), "asyncio_file",
						 in->asyncio_file, "layout", true,
						 "layout_source", in->tables.source));
	for (i = 0; i < in->degraded_cnt && i < INTERPRETER_DEGRADED_MAX; i++)
		json_array_append_new(degraded, json_string(in->degraded[i]));
	add_site(sites, &in->context_run);
	add_site(sites, &in->set_running_loop);
	add_site(sites, &in->task_dealloc);
	add_site(sites, &in->context_enter);
	add_site(sites, &in->context_exit);
	add_site(sites, &in->task_step);
	add_site(sites, &in->task_wakeup);
	add_site(sites, &in->task_wakeup_call);
}

/* Fills target, degraded and sites of `root`. 0, or -1 with `why`. */
static int examine(json_t *root, pid_t pid, struct refusal *why)
{
	json_t *target = json_pack("{s:i}", "pid", (int)pid), *sites = json_array();
	struct interpreter in = {.fd = {-1, -1, -1}};
	struct process *process = NULL;
	struct memory *memory = NULL;
	int err;

	json_object_set_new(root, "target", target);
	json_object_set_new(root, "sites", sites);
	err = process__open(pid, &process, why);
	if (err)
		goto out;
	json_object_set_new(target, "comm", json_string(process_comm(process)));
	json_object_set_new(target, "command", json_string(process_command(process)));
	err = memory__open(process, &memory);
	if (err) {
		err = refuse(why, EXIT_FAILED, "", "can't read process %d: %s", (int)pid,
			     strerror(-err));
		goto out;
	}
	err = interpreter__find(process, memory, &in, why);
	if (err)
		goto out;
	add_interpreter(target, json_object_get(root, "degraded"), sites, &in);
out:
	interpreter__close(&in);
	memory__close(memory);
	process__close(process);
	return err;
}

static json_t *examine_all(pid_t pid, enum exit_code *code)
{
	const char *lost[FEATURE_CNT];
	struct refusal why = {.code = EXIT_DONE};
	struct timespec now;
	size_t i, cnt;
	json_t *root;

	clock_gettime(CLOCK_REALTIME, &now);
	root = json_pack("{s:s, s:f, s:s, s:s, s:s, s:o, s:[]}", "type", "doctor", "ts",
			 (double)now.tv_sec + (double)now.tv_nsec / 1e9, "version",
			 ASYNCPROF_VERSION, "kernel", kernel_release(), "libbpf",
			 features_libbpf_version(), "features", json_features(), "degraded");
	if (!root) {
		*code = EXIT_FAILED;
		return NULL;
	}
	cnt = features_degraded(lost, FEATURE_CNT);
	for (i = 0; i < cnt; i++)
		json_array_append_new(json_object_get(root, "degraded"), json_string(lost[i]));
	/* What the kernel lacks comes first, as for watch; the process is examined all the same. */
	if (pid) {
		struct refusal target_why = {.code = EXIT_DONE};

		if (examine(root, pid, &target_why))
			why = target_why;
	}
	if (features_require(&why) == 0 && why.code == EXIT_DONE)
		why.what[0] = why.remedy[0] = '\0';
	json_object_update_new(root, json_pack("{s:i, s:s, s:s}", "exit", (int)why.code, "why",
					       why.what, "remedy", why.remedy));
	*code = why.code;
	return root;
}

/* --- Text --------------------------------------------------------------------- */

struct paint {
	FILE *out;
	bool colour;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void print_mark(const struct paint *p, bool ok, bool needed)
{
	const char *colour = ok ? "\033[32m" : needed ? "\033[31m" : "\033[33m";

	fprintf(p->out, "  %s%-3s%s ", p->colour ? colour : "",
		ok	 ? "ok"
		: needed ? "NO"
			 : "no",
		p->colour ? "\033[0m" : "");
}

static void print_features(const struct paint *p, const json_t *features)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)features, i, row)
	{
		bool ok = json_is_true(json_object_get(row, "ok"));
		bool required = json_is_true(json_object_get(row, "required"));

		print_mark(p, ok, required);
		fprintf(p->out, "%-30s %s\n", text_of(row, "name"), text_of(row, "what_for"));
		if (ok)
			continue;
		fprintf(p->out, "      %s; since Linux %s\n", text_of(row, "why"),
			text_of(row, "since"));
		if (*text_of(row, "remedy"))
			fprintf(p->out, "      remedy: %s\n", text_of(row, "remedy"));
	}
}

static void print_target(const struct paint *p, const json_t *target, const json_t *sites)
{
	json_t *site;
	size_t i;

	fprintf(p->out, "\nProcess %lld",
		(long long)json_integer_value(json_object_get(target, "pid")));
	if (*text_of(target, "comm"))
		fprintf(p->out, " (%s)\n  command      %s", text_of(target, "comm"),
			text_of(target, "command"));
	fputc('\n', p->out);
	if (!*text_of(target, "version"))
		return;
	fprintf(p->out, "  interpreter  CPython %s, %s, %s\n               %s\n",
		text_of(target, "version"),
		json_is_true(json_object_get(target, "shared")) ? "shared library"
								: "one executable",
		text_of(target, "build"), text_of(target, "file"));
	if (*text_of(target, "build_id"))
		fprintf(p->out, "  build id     %s\n", text_of(target, "build_id"));
	fprintf(p->out, "  _asyncio     %s\n", text_of(target, "asyncio"));
	if (*text_of(target, "asyncio_file"))
		fprintf(p->out, "               %s\n", text_of(target, "asyncio_file"));
	fprintf(p->out, "  layout       from %s, checked in the process\n",
		text_of(target, "layout_source"));
	if (json_array_size(sites))
		fprintf(p->out, "  probes\n");
	json_array_foreach((json_t *)sites, i, site)
	{
		fprintf(p->out, "    %-18s %s: %s, %d bytes after the entry\n",
			text_of(site, "name"), text_of(site, "insn"), text_of(site, "cost"),
			(int)json_integer_value(json_object_get(site, "skipped")));
		fprintf(p->out, "      at 0x%llx: %s\n      +0x%llx in %s\n",
			(unsigned long long)json_integer_value(json_object_get(site, "address")),
			text_of(site, "bytes"),
			(unsigned long long)json_integer_value(json_object_get(site, "offset")),
			text_of(site, "file"));
	}
}

static void print_text(const struct paint *p, const json_t *root)
{
	const json_t *target = json_object_get(root, "target");
	json_t *reason;
	size_t i;

	fprintf(p->out, "asyncprof %s on Linux %s, libbpf %s\n\n", text_of(root, "version"),
		text_of(root, "kernel"), text_of(root, "libbpf"));
	print_features(p, json_object_get(root, "features"));
	if (target)
		print_target(p, target, json_object_get(root, "sites"));
	if (json_array_size(json_object_get(root, "degraded")))
		fprintf(p->out, "\nWhat you will miss:\n");
	json_array_foreach(json_object_get(root, "degraded"), i, reason)
		fprintf(p->out, "  %s\n", json_string_value(reason));
	fputc('\n', p->out);
	if (*text_of(root, "why")) {
		print_mark(p, false, true);
		fprintf(p->out, "%s\n", text_of(root, "why"));
		if (*text_of(root, "remedy"))
			fprintf(p->out, "      remedy: %s\n", text_of(root, "remedy"));
		return;
	}
	print_mark(p, true, true);
	if (!target)
		fprintf(p->out, "this kernel will do; for a process: asyncprof doctor -p PID\n");
	else if (!strcmp(text_of(target, "asyncio"), "not loaded"))
		fprintf(p->out, "ready, and will wait until the process imports asyncio\n");
	else
		fprintf(p->out, "ready: asyncprof -p %lld\n",
			(long long)json_integer_value(json_object_get(target, "pid")));
}

static enum exit_code print_one(FILE *out, const struct options *options, pid_t pid)
{
	struct paint paint = {out, !options->no_color && isatty(fileno(out))};
	enum exit_code code;
	json_t *root = examine_all(pid, &code);

	if (root && options->json) {
		json_dumpf(root, out, JSON_COMPACT | JSON_REAL_PRECISION(17));
		fputc('\n', out);
	} else if (root) {
		print_text(&paint, root);
	}
	json_decref(root);
	return code;
}

enum exit_code doctor_print(FILE *out, const struct options *options)
{
	enum exit_code first = EXIT_DONE, code;
	size_t i;

	if (!options->pid_cnt)
		return print_one(out, options, 0);
	for (i = 0; i < options->pid_cnt; i++) {
		code = print_one(out, options, options->pid[i]);
		if (first == EXIT_DONE)
			first = code;
	}
	return first;
}
