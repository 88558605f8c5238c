/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys for those who ask for one with their certificate.  An RSA key takes a tenth of a second or ten to make, and a worker that makes one keeps others waiting: so a few are made ahead, by a thread of
 * low priority, as soon as somebody may want one.  Keys on curves are made when they are asked for. */

#include "keys/key.h"

struct key_stock;
struct key_stock *key_stock_new(void);
void key_stock_free(struct key_stock *stock); /* after whoever takes from it */
OWN_DEFINE(key_stock);

void key_stock_expect(struct key_stock *stock, enum key_alg alg); /* some of this kind will be wanted */
/* A new key; RSA waits for one only while few do, otherwise it is ERR_UNAVAILABLE and another try will do. */
struct key *key_stock_take(struct key_stock *stock, enum key_alg alg, struct err *err);
