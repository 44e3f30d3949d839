import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { wantsColor, widthOf, writeJson } from '../output.ts';
import { OPERATOR_HELP, operatorOptions, withOperator, type BrokerFlags } from './operator.ts';
import { checkRolloutId } from './rollout-id.ts';

interface Flags extends BrokerFlags {
  readonly json?: true;
}

const helpWith = (example: string) => `${OPERATOR_HELP}

Examples:
  agent fleet rollout ${example}
  agent fleet rollout ${example} --json

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

function viewOf({ io }: CliContext) {
  const width = widthOf(io.stdout, io.env);
  return { width, color: wantsColor(io.stdout, io.env), nowMs: Date.now() };
}

/** `agent fleet rollout ls`. */
export function rolloutListCommand(context: CliContext): Command {
  const { io, signal } = context;
  const command = new Command('ls')
    .summary('the rollouts that the broker keeps')
    .description('Lists the rollouts that the broker keeps, the newest first.')
    .option('--json', 'print them as JSON, a list of edgefit/rollout/1');
  return operatorOptions(command)
    .addHelpText('after', helpWith('ls'))
    .action(async (flags: Flags) => {
      const { readRollouts } = await import('../../fleet/operator/rollouts.ts');
      const { renderRollouts } = await import('./rollout-view.ts');
      const rollouts = await withOperator(flags, context, ({ channel }) =>
        readRollouts(channel, signal),
      );
      if (flags.json === true) writeJson(io, rollouts);
      else io.stdout.write(`${renderRollouts(rollouts, viewOf(context)).join('\n')}\n`);
    });
}

/** `agent fleet rollout show ID`. */
export function rolloutShowCommand(context: CliContext): Command {
  const { io, signal } = context;
  const command = new Command('show')
    .summary('how far a rollout is, now')
    .description('Shows how far a rollout is.')
    .argument('<id>', 'the rollout')
    .option('--json', 'print it as JSON (edgefit/rollout/1)');
  return operatorOptions(command)
    .addHelpText('after', helpWith('show kws-2.1.0-3f9a2c'))
    .action(async (rolloutId: string, flags: Flags) => {
      await checkRolloutId(rolloutId);
      const { followRollout } = await import('../../fleet/operator/rollouts.ts');
      const { renderRollout } = await import('./rollout-view.ts');
      const rollout = await withOperator(flags, context, ({ channel, timeoutMs }) =>
        followRollout(channel, rolloutId, {
          onChange: () => undefined,
          until: () => true,
          timeoutMs,
          signal,
        }),
      );
      if (flags.json === true) writeJson(io, rollout);
      else io.stdout.write(`${renderRollout(rollout, viewOf(context)).join('\n')}\n`);
    });
}
