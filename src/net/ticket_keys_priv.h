/*
 * Keys of session tickets (RFC 8446 section 4.6.1, RFC 5077 section 4): one ring for the process, so that a
 * ticket is good in every worker and after a reload. A new key is made every twelve hours; tickets of the one
 * before are still taken, and exchanged. Whoever steals a key reads a day of resumed TLS 1.2 sessions, not
 * more.
 */
#ifndef ISO_NET_TICKET_KEYS_PRIV_H
#define ISO_NET_TICKET_KEYS_PRIV_H

#include <openssl/ssl.h>

/* OpenSSL's callback, see SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
int iso_ticket_keys_use(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			EVP_MAC_CTX *mac, int encrypt);
/* Makes a new key now. */
void iso_ticket_keys_rotate(void);

#endif
