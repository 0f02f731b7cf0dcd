/*
 * Words for what is wrong with a certificate or key file. Any thread.
 */
#include "tls_problem_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int iso_tls_problem(struct iso_tls_problem *problem, size_t index, enum iso_tls_file file, const char *format,
		    ...)
{
	va_list args;

	if (problem != NULL) {
		problem->cert_index = index;
		problem->file = file;
		va_start(args, format);
		vsnprintf(problem->text, sizeof(problem->text), format, args);
		va_end(args);
	}
	ERR_clear_error();
	return ISO_ECERT;
}

int iso_tls_check_readable(struct iso_tls_problem *problem, size_t index, enum iso_tls_file which,
			   const char *path)
{
	FILE *file = fopen(path, "re");
	int errnum = file == NULL ? errno : 0;

	if (file != NULL) {
		/* A directory opens, but does not read. */
		errno = 0;
		if (fgetc(file) == EOF && ferror(file))
			errnum = errno;
		fclose(file);
	}
	if (errnum == 0)
		return ISO_OK;
	return iso_tls_problem(problem, index, which, "cannot read %s: %s", path, strerror(errnum));
}

const char *iso_tls_reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	return reason != NULL ? reason : "no reason given";
}

int iso_tls_no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}
