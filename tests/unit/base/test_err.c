/*
 * Error codes: distinct, negative, with a text; errno to the nearest.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/err.h"

static void test_every_code_has_its_own_text(void **state)
{
	const int codes[] = {
#define X(num, name, text) ISO_E##name,
		ISO_ERR_TABLE(X)
#undef X
	};
	size_t count = sizeof(codes) / sizeof(codes[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_true(codes[i] < 0);
		assert_string_not_equal(iso_err_text(codes[i]), "unknown error");
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(codes[i], codes[k]);
			assert_string_not_equal(iso_err_text(codes[i]), iso_err_text(codes[k]));
		}
	}
	assert_string_equal(iso_err_text(ISO_OK), "ok");
	assert_string_equal(iso_err_text(1), "unknown error");
	assert_string_equal(iso_err_text(-9999), "unknown error");
}

static void test_errno(void **state)
{
	const struct {
		int errnum, err;
	} pairs[] = {
		{ EAGAIN, ISO_EAGAIN },
		{ EWOULDBLOCK, ISO_EAGAIN },
		{ ENOMEM, ISO_ENOMEM },
		{ ECONNREFUSED, ISO_EREFUSED },
		{ ECONNRESET, ISO_ERESET },
		{ EPIPE, ISO_ERESET },
		{ ETIMEDOUT, ISO_ETIMEOUT },
		{ EHOSTUNREACH, ISO_EUNREACHABLE },
		{ ENETUNREACH, ISO_EUNREACHABLE },
		{ EMFILE, ISO_ELIMIT },
		{ ENOENT, ISO_ENOTFOUND },
		{ EADDRINUSE, ISO_EEXISTS },
		{ EBADF, ISO_ESYS },
		{ 0, ISO_ESYS },
		{ -1, ISO_ESYS },
		{ 100000, ISO_ESYS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_int_equal(iso_err_from_errno(pairs[i].errnum), pairs[i].err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_has_its_own_text),
		cmocka_unit_test(test_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
