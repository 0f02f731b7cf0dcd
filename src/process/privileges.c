/*
 * Rights are given up once everything is bound. What is kept is CAP_NET_BIND_SERVICE, on the control thread
 * alone, which binds: so that a reload may bind low ports. Thread: control.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process_priv.h"

static char why_text[256];
static bool dropped; /* before any thread is started that could ask */

static int refuse(const char **ret_why, const char *what, const char *name)
{
	snprintf(why_text, sizeof(why_text), "%s %s", what, name);
	*ret_why = why_text;
	return ISO_EBAD;
}

/* Of the calling thread: the kernel keeps them for each. */
static int set_rights(uint32_t rights)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	data[0].effective = data[0].permitted = rights;
	return (int)syscall(SYS_capset, &header, data);
}

void iso_privileges_of_thread(void)
{
	if (dropped)
		(void)set_rights(0);
}

/* The configuration and its certificates are read again while we run: better to fail now than at the first
 * renewal. */
static int check_files(const struct iso_snapshot *snapshot, const char *user, const char **ret_why)
{
	const struct iso_cfg_file config = { .next = snapshot->files, .path = snapshot->path.ptr };

	for (const struct iso_cfg_file *file = snapshot->path.len > 0 ? &config : snapshot->files;
	     file != NULL; file = file->next) {
		int fd = open(file->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			snprintf(why_text, sizeof(why_text), "%s cannot read %s, which reloads need", user,
				 file->path);
			*ret_why = why_text;
			return ISO_EBAD;
		}
		close(fd);
	}
	return ISO_OK;
}

int iso_privileges_drop(const struct iso_snapshot *snapshot, const char **ret_why)
{
	const char *user = snapshot->user.ptr, *group = snapshot->group.ptr;
	const struct passwd *pw;
	const struct group *gr = NULL;
	uid_t uid;
	gid_t gid;

	if (snapshot->user.len == 0)
		return ISO_OK;
	pw = getpwnam(user);
	if (pw == NULL)
		return refuse(ret_why, "there is no user", user);
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	if (snapshot->group.len > 0) {
		gr = getgrnam(group);
		if (gr == NULL)
			return refuse(ret_why, "there is no group", group);
		gid = gr->gr_gid;
	}
	if (geteuid() == uid && getegid() == gid)
		return check_files(snapshot, user, ret_why);
	/* Across setuid the permitted set is kept by KEEPCAPS, on this thread only; the effective one is set
	 * anew. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || initgroups(user, gid) != 0 || setgid(gid) != 0 ||
	    setuid(uid) != 0 || set_rights(1u << CAP_NET_BIND_SERVICE) != 0 ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return refuse(ret_why, "cannot become the user (start as root, or leave `user` out):", user);
	dropped = true;
	return check_files(snapshot, user, ret_why);
}
