/*
 * Texts of the error codes and the way from errno to them. Any thread.
 */
#include "iso/base/err.h"

#include <errno.h>

const char *iso_err_text(int err)
{
	switch (err) {
	case ISO_OK:
		return "ok";
#define X(num, name, text)                                                                                   \
	case ISO_E##name:                                                                                    \
		return text;
		ISO_ERR_TABLE(X)
#undef X
	default:
		return "unknown error";
	}
}

int iso_err_from_errno(int errnum)
{
	switch (errnum) {
	case EAGAIN:
		return ISO_EAGAIN;
	case ENOMEM:
	case ENOBUFS:
		return ISO_ENOMEM;
	case EMFILE:
	case ENFILE:
		return ISO_ELIMIT;
	case ECONNREFUSED:
		return ISO_EREFUSED;
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
		return ISO_ERESET;
	case ETIMEDOUT:
		return ISO_ETIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EADDRNOTAVAIL:
		return ISO_EUNREACHABLE;
	case ENOENT:
		return ISO_ENOTFOUND;
	case EEXIST:
	case EADDRINUSE:
		return ISO_EEXISTS;
	default:
		return ISO_ESYS;
	}
}
