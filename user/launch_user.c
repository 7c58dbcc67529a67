/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "launch_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

struct launch_user {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int group_cnt;
	char **env; /* entries of `environ`, and those of `own` */
	char *own[4];
};

/*
 * What sudo has set to root's, by its env_reset, set back to the user's; and
 * what says that sudo runs it, which it does not any more.
 */
static const char *const replaced[] = {"HOME", "USER", "LOGNAME", "SHELL"};
static const char *const dropped[] = {"SUDO_UID",  "SUDO_GID",	  "SUDO_USER", "SUDO_COMMAND",
				      "SUDO_HOME", "SUDO_PROMPT", "MAIL"};

static bool is_name_of(const char *name, const char *entry)
{
	size_t len = strlen(name);

	return !strncmp(entry, name, len) && entry[len] == '=';
}

static bool is_kept(const char *entry)
{
	for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++)
		if (is_name_of(replaced[i], entry))
			return false;
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (is_name_of(dropped[i], entry))
			return false;
	return true;
}

/* NULL `user`: no entry in the database, so that nothing is known of their home. */
static int make_env(struct launch_user *u, const struct passwd *user)
{
	const char *value[4] = {NULL};
	size_t cnt = 0, used = 0;

	if (user) {
		value[0] = user->pw_dir;
		value[1] = value[2] = user->pw_name;
		value[3] = user->pw_shell;
	}
	while (environ[cnt])
		cnt++;
	u->env = calloc(cnt + 5, sizeof(*u->env));
	if (!u->env)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		if (is_kept(environ[i]))
			u->env[used++] = environ[i];
	for (size_t i = 0; i < 4; i++) {
		if (!value[i] || !*value[i])
			continue;
		if (asprintf(&u->own[i], "%s=%s", replaced[i], value[i]) < 0) {
			u->own[i] = NULL;
			return -ENOMEM;
		}
		u->env[used++] = u->own[i];
	}
	return 0;
}

static int find_groups(struct launch_user *u, const struct passwd *user)
{
	int cnt = GROUPS_MAX;

	u->groups = calloc(GROUPS_MAX, sizeof(*u->groups));
	if (!u->groups)
		return -ENOMEM;
	u->groups[0] = u->gid;
	u->group_cnt = 1;
	if (!user)
		return 0;
	if (getgrouplist(user->pw_name, u->gid, u->groups, &cnt) < 0)
		return -E2BIG;
	u->group_cnt = cnt;
	return 0;
}

int launch_user__find(const struct options *options, struct launch_user **out, struct refusal *why)
{
	struct launch_user *u = calloc(1, sizeof(*u));
	const struct passwd *user;
	int err = 0;

	*out = u;
	if (!u)
		return refuse(why, EXIT_BEFORE_PROGRAM, "", "out of memory");
	/* Whoever is not root has been given rights in another way, and is that user already. */
	u->change = options->has_sudo_user && !geteuid();
	if (!u->change)
		return 0;
	u->uid = options->sudo_uid;
	u->gid = options->sudo_gid;
	user = getpwuid(u->uid);
	err = make_env(u, user);
	if (!err)
		err = find_groups(u, user);
	if (!err)
		return 0;
	return refuse(why, EXIT_BEFORE_PROGRAM, "--as-root starts the program as root",
		      "can't find the groups of user %u: %s", (unsigned int)u->uid, strerror(-err));
}

int launch_user_become(const struct launch_user *u)
{
	uid_t uid[3];
	gid_t gid[3];

	if (!u->change)
		return 0;
	/* Groups first: afterwards it would not be allowed. */
	if (setgroups((size_t)u->group_cnt, u->groups) || setresgid(u->gid, u->gid, u->gid) ||
	    setresuid(u->uid, u->uid, u->uid) || getresuid(&uid[0], &uid[1], &uid[2]) ||
	    getresgid(&gid[0], &gid[1], &gid[2]))
		return -1;
	for (int i = 0; i < 3; i++) {
		if (uid[i] != u->uid || gid[i] != u->gid) {
			errno = EPERM;
			return -1;
		}
	}
	return 0;
}

char *const *launch_user_env(const struct launch_user *u)
{
	return u->change ? u->env : environ;
}

void launch_user__free(struct launch_user *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < sizeof(u->own) / sizeof(u->own[0]); i++)
		free(u->own[i]);
	free(u->env);
	free(u->groups);
	free(u);
}
