import { Command } from 'commander';
import type { CliContext, Outcome } from './context.ts';
import { fleetSignCommand } from './fleet-sign.ts';
import { fleetAclCommand } from './fleet/acl.ts';
import { fleetBenchCommand } from './fleet/bench.ts';
import { fleetControllerCommand } from './fleet/controller.ts';
import { fleetListCommand } from './fleet/ls.ts';
import { fleetReplaceCommand } from './fleet/replace.ts';
import { fleetRevokeCommand } from './fleet/revoke.ts';
import { fleetRolloutCommand } from './fleet/rollout.ts';
import { fleetShowCommand } from './fleet/show.ts';
import { fleetWatchCommand } from './fleet/watch.ts';

const MAKERS: readonly ((context: CliContext, outcome: Outcome) => Command)[] = [
  fleetListCommand,
  fleetShowCommand,
  fleetWatchCommand,
  fleetBenchCommand,
  fleetRolloutCommand,
  fleetControllerCommand,
  fleetSignCommand,
  fleetAclCommand,
  fleetRevokeCommand,
  fleetReplaceCommand,
];

/** `agent fleet`: the operator's side, over MQTT. */
export function fleetCommand(context: CliContext, outcome: Outcome): Command {
  const command = new Command('fleet')
    .summary("the operator's side of a fleet")
    .description("The operator's side of a fleet, over MQTT.");
  for (const make of MAKERS) command.addCommand(make(context, outcome));
  return command;
}
