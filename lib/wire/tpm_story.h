/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests: the public keys of a TPM (a software one), as TPM2_ReadPublic gave them, in base64.  Each kind of key once as endorsement and once as storage root key. */

/* clang-format off */
#define STORY_EK \
	"AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAuKohX7uG8tveGCUJr3Dm5sqxk11Irs" \
	"v1/qmUjtnNAyNFyKxX/LRQ1+dg7OdNMGmvTY9BWKfJM2OeiFwcO9IjGdaPkhUAJyaF/sSXNO+NYtd9jOEHzURkako3ioXUvTFaGX8woDdT7Jgt" \
	"0w/2SU1EPxSa3Y61sdRDSEsYvqvn5vKGlXrS8ION5KYmKRpVEmOgurFxOR/ytYs5lMrJaA/DJsebFUF1vA2kZvdtUR+vKxxEATecW1Bq0vvBb5" \
	"x2oXICugPXyqi5xwmK9aB4/mQ2kQSLXnEEcHw+4u+kX7TlkPImyAhrX/u4mMHUTaL4KHQZaAZrbW8lm8eDVmV8iZjg1w=="
#define STORY_SRK \
	"ARoAAQALAAMEcgAAAAYAgABDABAIAAAAAAABAKYqPSUblIgkbWj/u9rIqTnJLga96ocJnmrxxEVrluyojEi33YVInzpbEuDKP7i2Xuolcv5qw7" \
	"6OLKI5Iq9tKE9R2UGNAmMvQntLoFg8tXrWAIMtT+ttiKi5i4bwUS7xVisBc2XoR8hb8a45iv+GtRdAZJRYc5TiSw0OA1Vl/jNhuCSMbyP2t2SS" \
	"wAqYKc5oOsMinsL+EVgBp6hTzrZoofco4Rirf8Y0P4zdrXX7AR3Lzk7nb2+Wh/aEoC3qjvh5rCw6ASDAVtSsDmM49LHuTHUzWjQG3ps0V6KIlo" \
	"yEMJorA/yEnpB4SngZSPxHg7pwp99RroMs2l2z0zqi3I9UPH8="
#define STORY_EK_P256 \
	"AHoAIwALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAADABAAINTRzfRBSOs6esfmYl2ncga+teCQm/dWzU" \
	"jKKtjyZknhACDisawQlnW3iU1Nd/mD6k64IqIyabPVBI183oAGJyfb9Q=="
#define STORY_SRK_P256 \
	"AFoAIwALAAMEcgAAAAYAgABDABAAAwAQACACUcLZCRJGTMfBVg7M/nYQxnmmPHDbhmtc168DDPwxBgAggdgFukTKpW80Wypb3iAHDUC+Mdh+uR" \
	"m/ffYa5mTSGPY="
/* clang-format on */
