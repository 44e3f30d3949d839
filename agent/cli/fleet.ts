import { Command } from 'commander';
import type { CliContext, Outcome } from './context.ts';
import { fleetSignCommand } from './fleet-sign.ts';
import { fleetAclCommand } from './fleet/acl.ts';
import { fleetReplaceCommand } from './fleet/replace.ts';
import { fleetRevokeCommand } from './fleet/revoke.ts';

/** `agent fleet`: the operator's side, over MQTT. */
export function fleetCommand(context: CliContext, _outcome: Outcome): Command {
  const command = new Command('fleet')
    .summary("the operator's side of a fleet")
    .description("The operator's side of a fleet, over MQTT.");
  for (const make of [fleetSignCommand, fleetAclCommand, fleetRevokeCommand, fleetReplaceCommand]) {
    command.addCommand(make(context));
  }
  return command;
}
