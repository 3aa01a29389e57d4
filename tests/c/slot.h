/* Slots, filled and emptied. */
#ifndef SLOT_H
#define SLOT_H

#include "caller.h"

/* Waits for the next request and takes it; whether there is one. */
static CHECK_UNUSED int slot_next(hasty_slot *slot)
{
    int64_t end = check_now_ms() + CHECK_WAIT_MS;
    hasty_status status;
    while ((status = hasty_slot_take(slot)) == HASTY_ERR_TIMEOUT && check_now_ms() < end)
        hasty_slot_wait(slot, 1000);
    return CHECK_STATUS(status, HASTY_OK) && CHECK(slot->ticket != 0);
}

static CHECK_UNUSED void slot_reply(hasty_slot *slot, const char *text)
{
    slot->reply = (const uint8_t *)text;
    slot->reply_len = strlen(text);
}

/* Gives the answer; nothing else waits. */
static CHECK_UNUSED void slot_submit(hasty_slot *slot)
{
    CHECK_STATUS(hasty_slot_take(slot), HASTY_ERR_TIMEOUT);
    CHECK_INT(slot->ticket, 0);
}

/* Takes and answers everything until the app has stopped, which is how many. */
static CHECK_UNUSED int slot_serve(hasty_slot *slot, const char *text)
{
    int count = 0;
    for (;;) {
        hasty_status status = hasty_slot_take(slot);
        if (status == HASTY_ERR_CLOSED)
            return count;
        if (status == HASTY_OK) {
            count++;
            slot_reply(slot, text);
        } else if (!CHECK_STATUS(status, HASTY_ERR_TIMEOUT)) {
            return count;
        } else {
            hasty_slot_wait(slot, -1);
        }
    }
}

static CHECK_UNUSED hasty_slot slot_of(hasty_app *app)
{
    return (hasty_slot){.size = sizeof(hasty_slot), .app = app};
}

#endif
