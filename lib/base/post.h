/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Threads talk by posting: a post is a struct embedded in the message, and it runs on the thread of the owner it was posted to.  A
 * loop (net/loop.h) is an owner; store and the pool know only this interface.  Posts of one sender arrive in order. */

struct post {
	void (*run)(struct post *post);
	struct post *next;
};

struct owner {
	void (*post)(struct owner *owner, struct post *post); /* callable from any thread */
};
