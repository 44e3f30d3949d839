import { Command } from 'commander';
import type { CliContext } from './context.ts';
import { fleetSignCommand } from './fleet-sign.ts';

/** `agent fleet`: the operator's side, over MQTT. */
export function fleetCommand(context: CliContext): Command {
  return new Command('fleet')
    .summary("the operator's side of a fleet")
    .description("The operator's side of a fleet, over MQTT.")
    .addCommand(fleetSignCommand(context));
}
