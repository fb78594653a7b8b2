/* Remembers what a power cut would leave: preloaded into every process that writes to a data folder,
 * it copies each file, and lists each folder, at the moment its fsync has succeeded. Whatever came
 * after that, powercut.py takes back: bytes, names, removals. A file that was never synced has no
 * bytes, a folder that was never synced has no names.
 *
 * POWERCUT_DATA is the folder, POWERCUT_SIDE a folder beside it on the same file system. There,
 * INODE.data is a file's last synced content, INODE.dir a folder's last synced list (`INODE NAME` a
 * line), and INODE.hold a second link to the file, so that its number is not given to another and its
 * bytes outlive an unlink that was not synced.
 *
 * Not imitated: a file of which some unsynced pages were written and others not; msync, sync, O_SYNC
 * (nothing of ours uses them; SQLite maps only its -shm, which it makes anew). */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A power cut that is imitated wrongly must not look like one that was survived. */
static void must(int holds, const char *what)
{
	if (!holds) {
		perror(what);
		abort();
	}
}

static void write_all(int to, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(to, bytes, length);
		must(written > 0, "powercut: write");
		bytes += written;
		length -= (size_t)written;
	}
}

/* Read through the descriptor that was synced: to open the file once more and close it would drop
 * the locks that SQLite holds on it. */
static void copy_file(int fd, int to)
{
	static _Thread_local char block[1 << 16];
	off_t at = 0;
	for (;;) {
		ssize_t length = pread(fd, block, sizeof block, at);
		must(length >= 0, "powercut: pread");
		if (length == 0)
			return;
		write_all(to, block, (size_t)length);
		at += length;
	}
}

static void list_folder(const char *path, int to)
{
	DIR *folder = opendir(path);
	must(folder != NULL, "powercut: opendir");
	for (struct dirent *entry; (entry = readdir(folder));) {
		char line[NAME_MAX + 32];
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		int length = snprintf(line, sizeof line, "%llu %s\n", (unsigned long long)entry->d_ino, entry->d_name);
		write_all(to, line, (size_t)length);
	}
	closedir(folder);
}

static void remember(int fd)
{
	const char *data = getenv("POWERCUT_DATA"), *side = getenv("POWERCUT_SIDE");
	char link[64], path[PATH_MAX], name[PATH_MAX], fresh[PATH_MAX];
	struct stat status;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof path - 1);
	if (!data || !side || length < 0 || fstat(fd, &status))
		return;
	path[length] = 0;
	size_t prefix = strlen(data);
	if (strncmp(path, data, prefix) || (path[prefix] && path[prefix] != '/'))
		return;
	int folder = S_ISDIR(status.st_mode);
	unsigned long long inode = status.st_ino;
	/* One at a time, among all processes: the last copy is then the newest. */
	snprintf(name, sizeof name, "%s/lock", side);
	int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(lock >= 0 && !flock(lock, LOCK_EX), "powercut: lock");
	snprintf(fresh, sizeof fresh, "%s/fresh", side);
	int to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(to >= 0, "powercut: open");
	if (folder) {
		list_folder(path, to);
	} else {
		snprintf(name, sizeof name, "%s/%llu.hold", side, inode);
		int held = linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
		must(!held || errno == EEXIST || errno == ENOENT, "powercut: link");
		copy_file(fd, to);
	}
	close(to);
	snprintf(name, sizeof name, "%s/%llu.%s", side, inode, folder ? "dir" : "data");
	must(!rename(fresh, name), "powercut: rename");
	close(lock);
}

static int synced(const char *call, int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
	int result = real(fd), error = errno;
	if (result == 0)
		remember(fd);
	errno = error;
	return result;
}

int fsync(int fd)
{
	return synced("fsync", fd);
}

int fdatasync(int fd)
{
	return synced("fdatasync", fd);
}
