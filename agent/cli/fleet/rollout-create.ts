import { existsSync } from 'node:fs';
import { Command } from 'commander';
import type { Rollout, RolloutSpecInput } from '../../contracts/rollout.ts';
import type { CliContext, Outcome } from '../context.ts';
import { UsageError } from '../errors.ts';
import { wantsColor, widthOf, writeJson, type Io } from '../output.ts';
import {
  actorOf,
  OPERATOR_HELP,
  openSigners,
  operatorKeyOptions,
  operatorOptions,
  withOperator,
  type BrokerFlags,
  type KeyFlags,
} from './operator.ts';
import { checkRolloutId } from './rollout-id.ts';
import { changedSpec, readSpec, specOfFlags, specOptions, type SpecFlags } from './rollout-spec.ts';
import { watchRollout } from './rollout-watch.ts';

interface Flags extends BrokerFlags, KeyFlags, SpecFlags {
  readonly id?: string;
  readonly approve?: true;
  readonly watch?: true;
  readonly json?: true;
}

const CREATE_HELP = `
FILE is YAML or JSON with the keys of docs/schemas/rollout-spec.schema.json;
options replace what it says. Nothing starts before it is approved.
${OPERATOR_HELP}

Examples:
  agent fleet rollout create --model kws@2.1.0 --where 'class=rpi-5' \\
    --key ops.key
  agent fleet rollout create night.yaml --key ops.key --approve --watch

Exit codes: 0 done, 1 failed or refused, 2 bad usage or input, 3 with --watch:
it was aborted, or paused because too much failed.`;

const PLAN_HELP = `
Says which devices would be in which wave, and which are left out and why.
Nothing is kept.
${OPERATOR_HELP}

Examples:
  agent fleet rollout plan --model kws@2.1.0 --waves 10%,100% --key ops.key
  agent fleet rollout plan kws-2.1.0-3f9a2c --key ops.key   one that was created
  agent fleet rollout plan kws-2.1.0-3f9a2c --waves 5%,100%   the same, changed

Exit codes: 0 done, 1 failed or refused, 2 bad usage or input.`;

/** `agent fleet rollout create`. */
export function rolloutCreateCommand(context: CliContext, outcome: Outcome): Command {
  const { io } = context;
  const command = new Command('create')
    .summary('describe a rollout; it starts when it is approved')
    .description('Describes a rollout to the controller.')
    .argument('[file]', 'the rollout, YAML or JSON')
    .option('--id <id>', 'its name (default: from the release)')
    .option('--approve', 'and start it at once')
    .option('--watch', 'and follow it to its end')
    .option('--json', 'print the rollout as JSON (edgefit/rollout/1)');
  return operatorOptions(operatorKeyOptions(specOptions(command)))
    .addHelpText('after', CREATE_HELP)
    .action(async (file: string | undefined, flags: Flags) => {
      const spec = await readSpec(file, flags);
      const rolloutId = flags.id ?? (await newRolloutId(spec));
      await checkRolloutId(rolloutId);
      const rollout = await ask(context, flags, {
        rolloutId,
        command: 'create',
        spec,
        ...(flags.approve === true ? { approve: true } : {}),
      });
      if (flags.json === true && flags.watch !== true) writeJson(io, rollout);
      else if (flags.json !== true) tell(rolloutId, rollout, flags, io);
      if (flags.watch === true) outcome.code = await watchRollout(rolloutId, flags, context);
    });
}

/** `agent fleet rollout plan`. */
export function rolloutPlanCommand(context: CliContext): Command {
  const { io } = context;
  const command = new Command('plan')
    .summary('a dry run: who would be in which wave')
    .description('A dry run: who would be in which wave, and who is left out.')
    .argument('[file-or-id]', 'YAML or JSON, or a rollout that was created')
    .option('--json', 'print the rollout as it would be as JSON (edgefit/rollout/1)');
  return operatorOptions(operatorKeyOptions(specOptions(command)))
    .addHelpText('after', PLAN_HELP)
    .action(async (subject: string | undefined, flags: Flags) => {
      const rollout = await ask(context, flags, await planRequest(subject, flags, context));
      if (flags.json === true) writeJson(io, rollout);
      else if (rollout !== null) {
        const { renderPlan } = await import('./rollout-view.ts');
        const view = { width: widthOf(io.stdout, io.env), color: wantsColor(io.stdout, io.env) };
        io.stdout.write(`${renderPlan(rollout, { ...view, nowMs: Date.now() }).join('\n')}\n`);
      }
    });
}

interface Asked {
  readonly rolloutId: string;
  readonly command: 'create' | 'plan';
  readonly spec?: RolloutSpecInput;
  readonly approve?: boolean;
}

async function planRequest(
  subject: string | undefined,
  flags: Flags,
  context: CliContext,
): Promise<Asked> {
  const isRollout = subject !== undefined && !existsSync(subject) && flags.model === undefined;
  if (isRollout) {
    if (/[/\\]|\.(ya?ml|json)$/.test(subject)) throw new UsageError(`there is no file ${subject}`);
    await checkRolloutId(subject);
    if (Object.keys(specOfFlags(flags)).length === 0)
      return { rolloutId: subject, command: 'plan' };
    const { spec } = await readRecord(subject, flags, context);
    return { rolloutId: subject, command: 'plan', spec: await changedSpec(spec, flags) };
  }
  const spec = await readSpec(subject, flags);
  return { rolloutId: await newRolloutId(spec), command: 'plan', spec };
}

/** A rollout as the broker keeps it. Throws OperatorError. */
async function readRecord(rolloutId: string, flags: Flags, context: CliContext): Promise<Rollout> {
  const { followRollout } = await import('../../fleet/operator/rollouts.ts');
  const once = { onChange: () => undefined, until: () => true, signal: context.signal };
  return withOperator(flags, context, ({ channel, timeoutMs }) =>
    followRollout(channel, rolloutId, { ...once, timeoutMs }),
  );
}

async function ask(context: CliContext, flags: Flags, asked: Asked): Promise<Rollout | null> {
  const { io, signal } = context;
  const { sendRolloutCommand } = await import('../../fleet/operator/rollouts.ts');
  const signers = await openSigners(flags, io);
  return withOperator(flags, context, async ({ channel, timeoutMs }) => {
    const request = { ...asked, actor: actorOf(io) };
    return (await sendRolloutCommand(channel, request, { signers, timeoutMs, signal })).rollout;
  });
}

const MAX_ID = 64;

/** `kws-2.1.0-3f9a2c`. */
async function newRolloutId({ model }: RolloutSpecInput): Promise<string> {
  const { randomBytes } = await import('node:crypto');
  const random = randomBytes(3).toString('hex');
  return `${`${model.name}-${model.version}`.slice(0, MAX_ID - random.length - 1)}-${random}`;
}

function tell(rolloutId: string, rollout: Rollout | null, flags: Flags, io: Io): void {
  const targets =
    rollout === null
      ? ''
      : ` for ${rollout.counts.targets} ${rollout.counts.targets === 1 ? 'device' : 'devices'}`;
  io.stdout.write(`${rolloutId} is ${rollout?.state ?? 'created'}${targets}\n`);
  if (flags.watch === true) return;
  const next = flags.approve === true ? 'watch' : 'approve';
  io.stderr.write(`next: agent fleet rollout ${next} ${rolloutId}\n`);
}
