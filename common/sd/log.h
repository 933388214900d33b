/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Logging: to the journal with structured fields where stderr is the journal ($JOURNAL_STREAM), else to stderr, for people: with
 * colour on a terminal, with the time in a file. Daemons log an error once, where it stops travelling. common/ (outside of
 * common/sd and common/ipc) and lang/ never log. */

#include <stdarg.h>
#include <syslog.h>

#include "common/diag.h"
#include "common/macro.h"

void log_open(const char *program);     /* borrowed for good */
int log_set_level(int level);           /* LOG_EMERG … LOG_DEBUG; the default is LOG_INFO, or $MGMT_LOG_LEVEL */
int log_level(void);
int log_level_from_name(const char *name);      /* "debug", "info", …, or its digit; -EINVAL */
const char *log_level_name(int level);  /* NULL if there is none */
const char *log_target(void);           /* "journal", "console" or "null", as LogControl1 wants it */
int log_set_target(const char *name);   /* one of these, or "auto": what log_open() chose; -EINVAL */

/* All of them return error, so that "return log_error(r, …)" works. %m is strerror(-error). */
int log_full(int level, int error, const char *format, ...) _printf_(3, 4);
#define log_error(error, ...) log_full(LOG_ERR, (error), __VA_ARGS__)
#define log_warning(error, ...) log_full(LOG_WARNING, (error), __VA_ARGS__)
#define log_info(...) ((void) log_full(LOG_INFO, 0, __VA_ARGS__))
#define log_debug(...) ((void) (log_level() >= LOG_DEBUG && log_full(LOG_DEBUG, 0, __VA_ARGS__)))

/* With the fields MGMT_KIND, MGMT_NAME, CODE_FILE and CODE_LINE of the statement in the program. Both return 0 or the error in
 * the Diag. */
int log_resource(int level, const char *kind, const char *name, Pos pos, const char *format, ...) _printf_(5, 6);
int log_diag(int level, const Diag *d);
