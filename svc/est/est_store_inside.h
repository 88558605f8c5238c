/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside est: what the subjects of est_store.h share. */

#include <pthread.h>

#include "est/est_store.h"
#include "store/db.h"

struct est_store {
	struct db *db;
	pthread_mutex_t lock;
};

void est_store_lock(struct est_store *store);
int est_store_unlock(struct est_store *store, int done);  /* for the end of a function: what it returns */
int est_store_next(struct db_stmt *row, struct err *err); /* 1: a row, 0: none, -1; NULL is a query that failed */
void est_store_end(struct db_stmt *row);
