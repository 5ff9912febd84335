/* SPDX-License-Identifier: Apache-2.0 */
/* habits.c - a table of words, by the verb that they are typed behind. */
#include "runner/cmd/habits.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct habit table[] = {
	{ " up ", " -d --detach --detached --daemon --daemonize --background -b ", "it is in the background without it" },
	{ " up apply ", " --force-recreate --recreate ", "sill apply --allow recreate" },
	{ " up run apply validate show plan lock fmt export import ",
	  " -f --file --filename --manifest --input ", "the file stands alone, without an option" },
	{ " up apply plan ", " --var ", "--set NAME=VALUE" },
	{ " apply ", " --dry-run -n --check --plan --what-if --diff ", "sill plan tells what it would do, and does nothing" },
	{ " apply ", " --auto-approve --approve --assume-yes --no-confirm --force -a ", "--yes" },
	{ " plan ", " --out -o --save ", "sill apply looks for itself, and takes no plan" },
	{ " plan ", " --dry-run --check --diff ", "sill plan does nothing without it" },
	{ " down reboot ", " --force --kill --hard --immediate -9 ", "--now" },
	{ " down reboot ", " -t --time --timeout --wait ", "--grace SECONDS" },
	{ " down reboot kill ", " --all -a --prune ", "name them, or the directory of their manifests" },
	{ " ps ", " -a --all -A ", "all of them are shown without it" },
	{ " ps ", " -q --quiet --format --output -o ", "--json" },
	{ " logs ", " --tail -n --lines --since ", "the command `tail` behind a pipe does it" },
	{ " fmt ", " -w --write -i --in-place --inplace ", "files are written without it; --check and --diff write nothing" },
	{ " fmt ", " -l --list --dry-run -n ", "--check" },
	{ " lock ", " --update --write --refresh -u --upgrade ", "it writes without an option; --check only compares" },
	{ " export ", " --k8s --statefulset ", "--kubernetes" },
	{ " export ", " --unit --service --systemctl ", "--systemd" },
	{ " export ", " --format --type --to -t ", "--systemd, --kubernetes or --nomad" },
	{ " import ", " --format --type -t ", "--from KIND" },
	{ " import ", " -m -hda -drive -cdrom -kernel -enable-kvm -smp -cpu -device -netdev -nographic ",
	  "a command stands behind '--': sill import -- qemu-system-x86_64 -m 1G ..." },
	{ " init ", " --windows --win ", "--guest windows" },
	{ " init ", " --linux ", "--guest linux" },
	{ " console ", " --exec -c --command --run ",
	  "--send TEXT and --expect TEXT; with Windows, sill sac VM exec -- COMMAND" },
	{ " console ", " --serial --device --devname -p ", "--port PORT" },

	{ " ctl ", " stop poweroff power-off off halt ",
	  "shutdown, at once; power-button asks the guest; sill down NAME does both" },
	{ " ctl ", " reboot restart ", "reset, at once; sill reboot NAME asks the guest" },
	{ " ctl ", " status state stat show inspect query ", "info" },
	{ " ctl ", " rm del delete-device remove-device remove-disk remove-net del-disk unplug detach detach-disk hot-unplug "
	  "device_del eject ", "remove ID" },
	{ " ctl ", " hotplug-disk attach-disk plug-disk disk-add attach drive_add blockdev-add ", "add-disk path=FILE" },
	{ " ctl ", " hotplug-net attach-net attach-interface netdev_add device_add nic-add ", "add-net tap=NAME" },
	{ " ctl ", " savevm save suspend checkpoint migrate ", "snapshot DIR" },
	{ " ctl ", " loadvm load ", "restore DIR, with sill serve; else sill run --restore DIR" },
	{ " ctl ", " dump dump-guest-memory core ", "coredump FILE" },
	{ " ctl ", " system_powerdown powerdown acpi-shutdown powerbutton ", "power-button" },
	{ " ctl ", " system_reset ", "reset" },
	{ " ctl ", " cont continue unpause thaw start ", "resume" },
	{ " ctl ", " freeze ", "pause" },
	{ " ctl ", " monitor watch event qmp ", "events" },
	{ " ctl ", " balloon set-balloon ", "resize --balloon SIZE" },
	{ " ctl ", " setvcpus vcpus cpus cpu setmem mem memory hotplug ", "resize --cpus N, or --memory SIZE" },
	{ " ctl ", " resize-image block_resize blockresize grow-disk ", "resize-disk ID SIZE" },
	{ " ctl ", " stats statistics ", "counters, or metrics" },
	{ " ctl ", " config dumpxml ", "manifest" },
	{ " ctl ", " log logs ", "sill logs NAME" },
	{ " ctl ", " console serial tty ", "sill console NAME" },
	{ " ctl ", " inject-nmi interrupt ", "nmi" },
	{ " ctl ", " screendump screenshot ", "Sill has no display yet" },

	{ " sac ", " reboot reset ", "restart" },
	{ " sac ", " poweroff halt off stop ", "shutdown" },
	{ " sac ", " ipconfig ifconfig addr address addresses network i ", "ip" },
	{ " sac ", " run command do powershell sh ssh ", "exec -- COMMAND" },
	{ " sac ", " shell prompt console cmd.exe terminal ", "cmd" },
	{ " sac ", " crash bugcheck dump bsod nmi ", "crashdump" },
	{ " sac ", " channels list ch ", "ls" },
	{ " sac ", " date uptime clock s ", "time" },
	{ " sac ", " info whoami hostname who state ", "id, or status" },

	{ " net ", " list ls show info addr address ip ", "sill net status NAME; sill ps lists the VMs" },
	{ " net ", " ping check wait test connect scan ", "sill net probe" },

	{ " image ", " list ls show inspect file ", "info" },
	{ " image ", " clone copy cp dd ", "convert" },
	{ " image ", " new make mk ", "create" },
	{ " image ", " merge flatten ", "commit; sill image rebase --no-backing copies what is below instead" },
	{ " image ", " fsck repair verify ", "check --repair" },
	{ " image ", " shrink trim sparsify vacuum defrag ", "compact; resize --shrink makes the disk smaller" },
	{ " image ", " grow expand extend ", "resize" },
	{ " image ", " snapshot snapshots backing ", "overlay; of a VM that runs: sill ctl NAME snapshot DIR" },
	{ " image ", " diff cmp ", "compare" },
	{ " image ", " size du ", "measure" },
};
/* clang-format on */

const struct habit *habit_at(unsigned i)
{
	return i < sizeof(table) / sizeof(table[0]) ? &table[i] : NULL;
}

/* Is @word one of " a b c "? */
static int is_in(const char *words, const char *word)
{
	char key[40];

	return snprintf(key, sizeof(key), " %s ", word) < (int)sizeof(key) &&
	       strchr(word, ' ') == NULL && word[0] != '\0' && strstr(words, key) != NULL;
}

const char *habit_of(const char *verb, const char *word)
{
	for (unsigned i = 0; habit_at(i) != NULL; i++)
		if (is_in(table[i].verb, verb) && is_in(table[i].words, word))
			return table[i].say;
	return NULL;
}
