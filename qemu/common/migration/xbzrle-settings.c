/*
 * The settings of a session of /dev/xbzrle, which can change between migrations.
 *
 * They are properties of the migration object, so that -global has them.  That
 * object has no place in QEMU's tree of objects, and none of its other properties
 * may be set past the checks of migrate-set-parameters.  So an object of our own
 * is there, with properties that stand for these.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qom/object.h"
#include "xbzrle-compat.h"
#include "xbzrle-dev.h"
#include "xbzrle-queues.h"

#define XBZRLE_DEV_DEFAULT "/dev/xbzrle"

/* A version of QEMU need not have all of them. */
static const char *const settings[] = {
    "xbzrle-dev", "xbzrle-dev-queues", "xbzrle-dev-zerocopy",
    "xbzrle-dev-multifd",
};

static void get_setting(Object *obj, Visitor *v, const char *name, void *opaque,
                        Error **errp)
{
    object_property_get(OBJECT(migrate_get_current()), name, v, errp);
}

/* The migration thread reads settings without a lock. */
static void set_setting(Object *obj, Visitor *v, const char *name, void *opaque,
                        Error **errp)
{
    MigrationState *s = migrate_get_current();
    uint32_t queues = s->xbzrle_dev_queues;

    if (compat_migration_is_running()) {
        error_setg(errp, "'%s' cannot change while a migration runs", name);
        return;
    }
    object_property_set(OBJECT(s), name, v, errp);
    if (!xbzrle_check_queues(s->xbzrle_dev_queues, errp)) {
        s->xbzrle_dev_queues = queues;
    }
}

void xbzrle_dev_init(MigrationState *s, Error **errp)
{
    Object *obj = object_new("container");
    ObjectProperty *property;
    unsigned int i;

    if (!s->xbzrle_dev) {
        s->xbzrle_dev = g_strdup(XBZRLE_DEV_DEFAULT);
    }
    xbzrle_check_queues(s->xbzrle_dev_queues, errp);
    for (i = 0; i < ARRAY_SIZE(settings); i++) {
        property = object_property_find(OBJECT(s), settings[i]);
        if (property) {
            object_property_add(obj, settings[i], property->type, get_setting,
                                set_setting, NULL, NULL);
        }
    }
    object_property_add_child(object_get_root(), "xbzrle", obj);
    object_unref(obj);
}
