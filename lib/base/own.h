/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One owner per object, written down in the declaration.
 *
 *	OWN(cert) cert = cert_load(path, err);	freed when the scope ends
 *	return GIVE(cert);			handed out, no longer ours
 *
 * OWN_DEFINE(cert) after the declaration of cert_free() makes OWN(cert) possible; OWN_LIB does the same for types of
 * libraries (OWN_DEFINE_LIB(X509, X509_free)).  Every free function accepts NULL. */

#define OWN(x) __attribute__((cleanup(x##_freep))) struct x *
#define OWN_LIB(T) __attribute__((cleanup(T##_freep))) T *
#define CLEAR(x) __attribute__((cleanup(x##_clear))) struct x
#define OWN_TEXT __attribute__((cleanup(own_text_freep))) char *
#define GIVE(p)                                                                                                                    \
	__extension__({                                                                                                            \
		__auto_type give_tmp_ = (p);                                                                                       \
		(p) = NULL;                                                                                                        \
		give_tmp_;                                                                                                         \
	})

#define OWN_DEFINE(x)                                                                                                              \
	static inline void x##_freep(struct x **p)                                                                                 \
	{                                                                                                                          \
		x##_free(*p);                                                                                                      \
	}                                                                                                                          \
	struct x
#define OWN_DEFINE_LIB(T, free_fn)                                                                                                 \
	static inline void T##_freep(T **p)                                                                                        \
	{                                                                                                                          \
		if (*p)                                                                                                            \
			free_fn(*p);                                                                                               \
	}                                                                                                                          \
	struct own_unused_

void mem_free(void *p);

static inline void
own_text_freep(char **p)
{
	mem_free(*p);
}
