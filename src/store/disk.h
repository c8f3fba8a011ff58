/*
 * Files and directories: relative to an open directory and never through a
 * symbolic link, except for the configured roots. Nothing here knows of
 * uploads.
 *
 * Every name and relative path must be one that this program made or cleaned;
 * a path is walked component by component with O_NOFOLLOW all the same.
 * Thread-safe; failures carry the errno for the log and no path.
 */
#ifndef SLIPWAY_STORE_DISK_H
#define SLIPWAY_STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Open a directory by absolute path, creating it with mode and its parents
 * with 0755 where they are missing. -1 on failure. */
int disk_open_root(const char *path, mode_t mode, struct error *e);

/* Make directory name in dir (mode regardless of umask) and open it. With
 * may_exist an existing directory is opened instead. -1 on failure. */
int disk_make_dir(int dir, const char *name, mode_t mode, bool may_exist,
                  struct error *e);

/* Open the existing directory name in dir. -1 with errno in e->sys. */
int disk_open_dir(int dir, const char *name, struct error *e);

/* Create file name in dir, exclusively, for writing. -1; e->sys is EEXIST if
 * it exists. */
int disk_create(int dir, const char *name, mode_t mode, struct error *e);

/* Open the regular file at the relative path for reading; its size goes to
 * *size. -1, and ERR_NOT_FOUND if it is missing or no regular file. */
int disk_open_file(int dir, const char *path, uint64_t *size, struct error *e);

/* Write all of it at offset. Never retried after a failure. */
enum error_code disk_write(int fd, const void *data, size_t len,
                           uint64_t offset, struct error *e);

/* Allocate the blocks for the next len bytes, so that they lie in one piece and
 * cost less to write; the size stays. A hint: that the disk is full shows when
 * they are written. */
void disk_preallocate(int fd, uint64_t offset, uint64_t len);

/* Free the blocks beyond the end of the file. */
void disk_trim(int fd);

/* Make the content of a file, or the entries of a directory, survive a power
 * cut. */
enum error_code disk_sync_file(int fd, struct error *e);
enum error_code disk_sync_dir(int fd, struct error *e);

/* The same for dir and all directories below it. */
enum error_code disk_sync_tree(int dir, struct error *e);

/* Move the directory from_name into another directory, in one step. A target
 * that holds anything is kept: e->sys is EEXIST or ENOTEMPTY. */
enum error_code disk_move(int from, const char *from_name, int to,
                          const char *to_name, struct error *e);

/* Remove the file at a relative path, for good if sync is true. Missing is
 * fine. */
enum error_code disk_remove_file(int dir, const char *path, bool sync,
                                 struct error *e);

/* Remove name in dir, with all it holds. Missing is fine. */
enum error_code disk_remove_tree(int dir, const char *name, struct error *e);

/* Take or test the kernel's lock on an open directory. The lock goes with
 * the descriptor, also when the process is killed. */
bool disk_try_lock(int fd);

/* Bytes that an unprivileged process may still write there. UINT64_MAX if
 * the system does not say. */
uint64_t disk_free_space(int fd);

/* Whether both directories are on one filesystem. */
bool disk_same_filesystem(int a, int b);

#endif
