// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on purpose, one of each class that the kernels with checkers are there to
 * catch: if the rig lets one of these pass, it would let ours pass. A word
 * written to the parameter `fault` commits it. tests/faults/test_faults does that.
 */
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <asm/fpu/api.h>

static int fault_use_after_free(void)
{
	char *p = kmalloc(100, GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	kfree(p);
	WRITE_ONCE(p[50], 1);
	return 0;
}

static DEFINE_MUTEX(fault_a);
static DEFINE_MUTEX(fault_b);

/* No deadlock, as there is but one of us: the order alone is wrong. */
static int fault_lock_order(void)
{
	mutex_lock(&fault_a);
	mutex_lock(&fault_b);
	mutex_unlock(&fault_b);
	mutex_unlock(&fault_a);

	mutex_lock(&fault_b);
	mutex_lock(&fault_a);
	mutex_unlock(&fault_a);
	mutex_unlock(&fault_b);
	return 0;
}

static DEFINE_SPINLOCK(fault_lock);

/* There is memory enough: it could sleep, and does not. */
static int fault_sleep_in_atomic(void)
{
	void *p;

	spin_lock(&fault_lock);
	p = kmalloc(100, GFP_KERNEL);
	spin_unlock(&fault_lock);
	kfree(p);
	return 0;
}

/* Several, as a register or the stack may remember the last one. */
static int fault_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *p = kmalloc(100, GFP_KERNEL);

		if (!p)
			return -ENOMEM;
		OPTIMIZER_HIDE_VAR(p);
	}
	return 0;
}

/* A section is left that was never entered: what lay in it had no registers. */
static int fault_fpu(void)
{
	preempt_disable();
	kernel_fpu_end();
	return 0;
}

static unsigned long fault_word;

static int fault_racer(void *unused)
{
	while (!kthread_should_stop()) {
		fault_word++;
		barrier();
		cond_resched();
	}
	return 0;
}

/* Two write at once, until the checker has looked in the right moment. */
static int fault_data_race(void)
{
	unsigned long end = jiffies + 5 * HZ;
	struct task_struct *racer = kthread_run(fault_racer, NULL, "xbz_racer");

	if (IS_ERR(racer))
		return PTR_ERR(racer);
	while (time_before(jiffies, end)) {
		fault_word++;
		barrier();
		cond_resched();
	}
	return kthread_stop(racer);
}

static const struct {
	const char *name;
	int (*commit)(void);
} faults[] = {
	{ "use-after-free", fault_use_after_free },
	{ "lock-order", fault_lock_order },
	{ "sleep-in-atomic", fault_sleep_in_atomic },
	{ "leak", fault_leak },
	{ "fpu", fault_fpu },
	{ "data-race", fault_data_race },
};

static int fault_set(const char *word, const struct kernel_param *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (sysfs_streq(word, faults[i].name))
			return faults[i].commit();
	return -EINVAL;
}

static const struct kernel_param_ops fault_ops = { .set = fault_set };
module_param_cb(fault, &fault_ops, NULL, 0200);
MODULE_PARM_DESC(fault, "commit this fault now");

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("faults for the rig to catch");
