/*
 * OpenSSL between two pieces of memory: a BIO that reads from the bytes of the last recv and writes to the
 * transport's out chunks, so that OpenSSL never makes a system call: one recv and one send serve many
 * records. Thread: the transport's loop.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "iso/base/page_pool.h"
#include "iso/net/tls.h"
#include "transport_priv.h"

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *bytes, size_t size, size_t *ret_n)
{
	struct iso_transport *t = BIO_get_data(bio);
	size_t n = t->wire_in.len < size ? t->wire_in.len : size;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		if (!t->eof)
			BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(bytes, t->wire_in.ptr, n);
	t->wire_in.ptr += n;
	t->wire_in.len -= n;
	*ret_n = n;
	return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *ret_n)
{
	struct iso_transport *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (iso_transport_queue(t, bytes, size) != ISO_OK)
		return 0;
	*ret_n = size;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static void make_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "iso_transport");

	if (method == NULL)
		return;
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	bio_method = method;
}

static void *tls_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return iso_page_alloc(size);
}

static void *tls_realloc(void *ptr, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return iso_page_realloc(ptr, size);
}

static void tls_free(void *ptr, const char *file, int line)
{
	(void)file;
	(void)line;
	iso_page_free(ptr);
}

void iso_tls_use_page_pool(void)
{
	(void)CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free);
}

void iso_tls_client_http11(struct iso_transport *t)
{
	if (t->ssl != NULL)
		SSL_set_alpn_protos(t->ssl, (const unsigned char *)"\x08http/1.1", 9);
}

int iso_tls_io_attach(struct iso_transport *t, struct ssl_st *ssl, bool client)
{
	BIO *bio;

	pthread_once(&bio_once, make_method);
	if (ssl == NULL || bio_method == NULL || (bio = BIO_new(bio_method)) == NULL) {
		SSL_free(ssl);
		return ISO_ENOMEM;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	if (client)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	t->ssl = ssl;
	return ISO_OK;
}

void iso_tls_io_free(struct iso_transport *t)
{
	if (t->ssl == NULL)
		return;
	/* A connection that was shaken hands with may be resumed even when it was cut: RFC 8446 allows it. */
	if (t->ready_us != 0)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	t->ssl = NULL;
}

/*
 * SSL_get_error wants an empty queue before the call that it is asked about, and it nearly always is: looking
 * costs a seventh of what clearing its sixteen places does.
 */
static void clear_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* What an SSL call's failure means here; notes the words. */
static int map_error(struct iso_transport *t, int ret)
{
	int what = SSL_get_error(t->ssl, ret);
	long verify = SSL_get_verify_result(t->ssl);
	unsigned long code;
	char text[160];

	if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE)
		return ISO_EAGAIN;
	if (what == SSL_ERROR_ZERO_RETURN)
		return ISO_EEOF;
	if (t->eof && t->wire_in.len == 0) {
		iso_transport_note_text("the peer closed the connection in the middle of TLS");
		t->truncated = true;
		ERR_clear_error();
		return ISO_ERESET;
	}
	if (verify != X509_V_OK) {
		iso_transport_note_text(X509_verify_cert_error_string(verify));
		ERR_clear_error();
		return ISO_ECERT;
	}
	code = ERR_peek_last_error();
	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	iso_transport_note_text(code != 0 ? text : "TLS failed without a reason");
	ERR_clear_error();
	return ISO_ETLS;
}

int iso_tls_io_handshake(struct iso_transport *t)
{
	const unsigned char *name;
	unsigned int len;
	int ret;

	clear_errors();
	ret = SSL_do_handshake(t->ssl);
	if (ret != 1)
		return map_error(t, ret);
	SSL_get0_alpn_selected(t->ssl, &name, &len);
	if (len == 2 && memcmp(name, "h2", 2) == 0)
		t->alpn = ISO_ALPN_H2;
	else if (len != 0)
		t->alpn = ISO_ALPN_HTTP11;
	t->resumed_session = SSL_session_reused(t->ssl) == 1;
	return ISO_OK;
}

int iso_tls_io_read(struct iso_transport *t, void *bytes, size_t size, size_t *ret_n)
{
	int ret;

	clear_errors();
	ret = SSL_read_ex(t->ssl, bytes, size, ret_n);
	return ret == 1 ? ISO_OK : map_error(t, ret);
}

int iso_tls_io_write(struct iso_transport *t, const void *bytes, size_t n)
{
	size_t done;
	int ret;

	if (n == 0)
		return ISO_OK;
	clear_errors();
	ret = SSL_write_ex(t->ssl, bytes, n, &done);
	if (ret == 1)
		return ISO_OK; /* no partial writes: the BIO takes all or fails */
	return map_error(t, ret) == ISO_ECERT ? ISO_ECERT : ISO_ETLS;
}

void iso_tls_io_close_notify(struct iso_transport *t)
{
	clear_errors();
	if (t->ready_us != 0)
		SSL_shutdown(t->ssl);
	clear_errors();
}
