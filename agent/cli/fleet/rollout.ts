import { Command } from 'commander';
import type { RolloutCommandName } from '../../contracts/rollout.ts';
import type { CliContext, Outcome } from '../context.ts';
import { writeJson } from '../output.ts';
import {
  actorOf,
  OPERATOR_HELP,
  openSigners,
  operatorKeyOptions,
  operatorOptions,
  reasonOption,
  withOperator,
  type BrokerFlags,
  type KeyFlags,
} from './operator.ts';
import { rolloutCreateCommand, rolloutPlanCommand } from './rollout-create.ts';
import { checkRolloutId } from './rollout-id.ts';
import { rolloutListCommand, rolloutShowCommand } from './rollout-list.ts';
import { rolloutWatchCommand } from './rollout-watch.ts';

const EXAMPLES = `
Examples:
  agent fleet rollout plan --model kws@2.1.0 --where 'tag=site-a' --key ops.key
  agent fleet rollout create --model kws@2.1.0 --waves 1%,10%,100% \\
    --canary-per-class 1 --soak 30m --max-failed 5%/10 --key ops.key --approve
  agent fleet rollout watch kws-2.1.0-3f9a2c
  agent fleet rollout pause kws-2.1.0-3f9a2c --key ops.key`;

/** `agent fleet rollout`: a release brought to many devices, wave by wave. */
export function fleetRolloutCommand(context: CliContext, outcome: Outcome): Command {
  const command = new Command('rollout')
    .summary('bring a release to many devices, wave by wave')
    .description('Brings a release to many devices, wave by wave.')
    .addHelpText('after', EXAMPLES);
  command.addCommand(rolloutCreateCommand(context, outcome));
  command.addCommand(rolloutPlanCommand(context));
  for (const [name, summary] of STEPS) command.addCommand(stepCommand(name, summary, context));
  command.addCommand(rolloutWatchCommand(context, outcome));
  command.addCommand(rolloutListCommand(context));
  return command.addCommand(rolloutShowCommand(context));
}

const STEPS = [
  ['approve', 'start a rollout that was created'],
  ['pause', 'hand out no more jobs; those that are open go on'],
  ['resume', 'go on, also after a wave that failed'],
  ['abort', 'end it, and take open jobs back'],
  ['rollback', 'end it, and take devices back to what they had before'],
] as const satisfies readonly (readonly [RolloutCommandName, string])[];

const stepHelp = (name: RolloutCommandName) => `${OPERATOR_HELP}

Examples:
  agent fleet rollout ${name} kws-2.1.0-3f9a2c --key ops.key
  agent fleet rollout ${name} kws-2.1.0-3f9a2c --reason 'hall 2' --key ops.key

Exit codes: 0 done, 1 failed or refused, 2 bad usage or input.`;

interface StepFlags extends BrokerFlags, KeyFlags {
  readonly reason?: string;
  readonly json?: true;
}

function stepCommand(name: RolloutCommandName, summary: string, context: CliContext): Command {
  const { io, signal } = context;
  const command = new Command(name)
    .summary(summary)
    .description(`${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`)
    .argument('<id>', 'the rollout')
    .option('--json', 'print the rollout as JSON (edgefit/rollout/1)');
  return operatorOptions(operatorKeyOptions(reasonOption(command)))
    .addHelpText('after', stepHelp(name))
    .action(async (rolloutId: string, flags: StepFlags) => {
      const { sendRolloutCommand } = await import('../../fleet/operator/rollouts.ts');
      await checkRolloutId(rolloutId);
      const signers = await openSigners(flags, io);
      const { rollout } = await withOperator(flags, context, ({ channel, timeoutMs }) =>
        sendRolloutCommand(
          channel,
          { rolloutId, command: name, reason: flags.reason, actor: actorOf(io) },
          { signers, timeoutMs, signal },
        ),
      );
      if (flags.json === true) writeJson(io, rollout);
      else io.stdout.write(`${rolloutId} is ${rollout?.state ?? 'as it was'}\n`);
    });
}
