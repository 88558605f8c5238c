/* SPDX-License-Identifier: Apache-2.0 */
/* Keys made ahead. */
#include <pthread.h>
#include <stdatomic.h>

#include "edged/key_stock.h"
#include "t.h"

TEST("a key of the kind that is asked for, and never the same one twice")
{
	OWN(key_stock) stock = key_stock_new();
	struct err err = ERR_INIT;
	OWN(key) curve = key_stock_take(stock, KEY_EC_P256, &err);
	OWN(key) rsa = NULL;
	OWN(key) other = NULL;

	key_stock_expect(stock, KEY_RSA_2048);
	rsa = key_stock_take(stock, KEY_RSA_2048, &err);
	other = key_stock_take(stock, KEY_RSA_2048, &err);
	CHECK_STR(key_describe(curve), "EC P-256");
	CHECK_STR(key_describe(rsa), "RSA 2048");
	CHECK(EVP_PKEY_eq(key_pkey(rsa), key_pkey(other)) == 0);
}

struct crowd {
	struct key_stock *stock;
	atomic_int served, refused;
};

static void *
take_one(void *arg)
{
	struct crowd *crowd = arg;
	struct err err = ERR_INIT;
	OWN(key) key = key_stock_take(crowd->stock, KEY_RSA_3072, &err);

	if (key)
		crowd->served++;
	else if (err.kind == ERR_UNAVAILABLE)
		crowd->refused++;
	return NULL;
}

TEST("when many want what is not there yet, few wait and the others are told to try again")
{
	struct crowd crowd = { .stock = key_stock_new() };
	pthread_t threads[8];

	for (size_t i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, take_one, &crowd) == 0);
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(crowd.served + crowd.refused, 8);
	CHECK(crowd.refused >= 1);
	key_stock_free(crowd.stock);
}

TEST("a stock that is given up in the middle of making one ends")
{
	struct key_stock *stock = key_stock_new();

	key_stock_expect(stock, KEY_RSA_3072);
	key_stock_free(stock);
}
