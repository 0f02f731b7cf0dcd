/*
 * See ticket_keys_priv.h. Any thread: a lock is taken, once per full or resumed handshake.
 */
#include "ticket_keys_priv.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "iso/base/clock.h"
#include "iso/net/tls.h"

enum { NAME = 16, SECRET = 32, KEYS = 2 };

static const uint64_t lifetime_us = UINT64_C(12) * 3600 * 1000 * 1000;

struct key {
	unsigned char name[NAME], cipher[SECRET], mac[SECRET];
};

static struct {
	pthread_mutex_t lock;
	struct key keys[KEYS]; /* the current one first */
	uint64_t made_us;      /* 0: there is none yet */
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Under the lock. */
static bool make_key(uint64_t now_us)
{
	struct key fresh;

	if (RAND_bytes(fresh.name, NAME) != 1 || RAND_priv_bytes(fresh.cipher, SECRET) != 1 ||
	    RAND_priv_bytes(fresh.mac, SECRET) != 1)
		return false;
	ring.keys[1] = ring.made_us != 0 ? ring.keys[0] : fresh;
	ring.keys[0] = fresh;
	ring.made_us = now_us;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return true;
}

void iso_ticket_keys_rotate(void)
{
	pthread_mutex_lock(&ring.lock);
	(void)make_key(iso_clock_mono_us());
	pthread_mutex_unlock(&ring.lock);
}

void iso_tls_forget_tickets(void)
{
	pthread_mutex_lock(&ring.lock);
	OPENSSL_cleanse(ring.keys, sizeof(ring.keys));
	ring.made_us = 0;
	pthread_mutex_unlock(&ring.lock);
}

/* The current key, or the one with this name; false: there is none. *ret_old: it is not the current one. */
static bool find_key(const unsigned char *name, struct key *ret_key, bool *ret_old)
{
	uint64_t now_us = iso_clock_mono_us();
	bool found = false;

	pthread_mutex_lock(&ring.lock);
	if ((ring.made_us == 0 || now_us - ring.made_us > lifetime_us) && !make_key(now_us))
		goto out;
	for (int i = 0; i < KEYS && !found; i++) {
		found = name == NULL || memcmp(name, ring.keys[i].name, NAME) == 0;
		if (found) {
			*ret_key = ring.keys[i];
			*ret_old = i > 0;
		}
	}
out:
	pthread_mutex_unlock(&ring.lock);
	return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *key)
{
	static char sha256[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, SECRET),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int iso_ticket_keys_use(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			EVP_MAC_CTX *mac, int encrypt)
{
	struct key key;
	bool old = false, ok;

	(void)ssl;
	if (!find_key(encrypt ? NULL : name, &key, &old))
		return encrypt ? -1 : 0; /* a ticket of nobody's: a full handshake */
	if (encrypt) {
		memcpy(name, key.name, NAME);
		ok = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
		     EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
	} else {
		ok = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
	}
	ok = ok && set_mac(mac, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return !ok ? -1 : old ? 2 : 1;
}
