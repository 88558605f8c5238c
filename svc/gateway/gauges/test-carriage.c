/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "gateway/gauges/carriage.h"
#include "t.h"

TEST("nothing was tried at first; then it is as it was told last, for as long as that has held, with the words of the last time")
{
	clock_set_for_test(1000);
	CHECK_INT(carriage().state, CARRIAGE_NOT_TRIED);
	CHECK_INT(carriage().since, 0);
	carriage_note(CARRIAGE_NOT_REACHED, "Connection refused");
	clock_set_for_test(2000);
	carriage_note(CARRIAGE_NOT_REACHED, "no answer in time");
	CHECK_INT(carriage().since, 1000);
	CHECK_STR(carriage().why, "no answer in time");
	clock_set_for_test(3000);
	carriage_note(CARRIAGE_CARRIED, NULL);
	CHECK_INT(carriage().state, CARRIAGE_CARRIED);
	CHECK_INT(carriage().since, 3000);
	CHECK_STR(carriage().why, "");
	clock_set_for_test(0);
}

TEST("a line counts where it is, and nowhere when it is down")
{
	carriage_count(CARRIAGE_LINE_DOWN, CARRIAGE_LINE_ALONE);
	carriage_count(CARRIAGE_LINE_DOWN, CARRIAGE_LINE_ALONE);
	carriage_count(CARRIAGE_LINE_DOWN, CARRIAGE_LINE_CARRIED);
	CHECK(carriage().n_alone == 2 && carriage().n_carried == 1);
	carriage_count(CARRIAGE_LINE_ALONE, CARRIAGE_LINE_CARRIED);
	CHECK(carriage().n_alone == 1 && carriage().n_carried == 2);
	carriage_count(CARRIAGE_LINE_ALONE, CARRIAGE_LINE_DOWN);
	carriage_count(CARRIAGE_LINE_CARRIED, CARRIAGE_LINE_DOWN);
	CHECK(carriage().n_alone == 0 && carriage().n_carried == 1);
}
