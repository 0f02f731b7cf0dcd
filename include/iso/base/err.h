/*
 * Error codes: values, never strings. ISO_OK is 0, every other code is negative. A fallible function returns
 * one of these as `int` and leaves its ret_ outputs untouched. Floors 0 to 4 return errors and never log
 * them.
 */
#ifndef ISO_BASE_ERR_H
#define ISO_BASE_ERR_H

#define ISO_ERR_TABLE(X)                                                                                     \
	X(1, NOMEM, "out of memory")                                                                         \
	X(2, AGAIN, "would block")                                                                           \
	X(3, LIMIT, "a configured limit is reached")                                                         \
	X(4, BAD, "malformed input")                                                                         \
	X(5, EOF, "the peer closed the connection")                                                          \
	X(6, SYS, "a system call failed")                                                                    \
	X(7, TLS, "TLS failed")                                                                              \
	X(8, CERT, "the peer's certificate was not accepted")                                                \
	X(9, DNS, "the name did not resolve")                                                                \
	X(10, TIMEOUT, "timed out")                                                                          \
	X(11, CANCELLED, "cancelled")                                                                        \
	X(12, REFUSED, "connection refused")                                                                 \
	X(13, RESET, "connection reset by the peer")                                                         \
	X(14, UNREACHABLE, "the peer cannot be reached")                                                     \
	X(15, NOTFOUND, "not found")                                                                         \
	X(16, EXISTS, "exists already")                                                                      \
	X(17, UNSUPPORTED, "not supported")                                                                  \
	X(18, PROTO, "the peer broke the protocol")

enum iso_err {
	ISO_OK = 0,
#define X(num, name, text) ISO_E##name = -(num),
	ISO_ERR_TABLE(X)
#undef X
};

#define ISO_MUST_USE __attribute__((warn_unused_result))

/* Static text of a code, for people; "unknown error" for a number that is none. */
const char *iso_err_text(int err);
/* Maps errno to the nearest code (ECONNREFUSED to ISO_EREFUSED and so on; ISO_ESYS when none fits). */
int iso_err_from_errno(int errnum);

#endif
