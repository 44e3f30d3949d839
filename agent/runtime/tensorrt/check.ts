import type { Facts } from '../../contracts/facts.ts';
import { splitFix, type Check, type Finding } from '../../util/check.ts';
import { messageOf } from '../../util/errors.ts';
import { findTrtexec, TRTEXEC_VARIABLE } from './places.ts';
import { askTrtexec } from './tool.ts';
import { versionText } from './version.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const REINSTALL =
  'apt install --reinstall libnvinfer-bin; in a container, start it with --runtime nvidia';

/** Whether trtexec runs: asked on a Jetson, and where one is named. Without it the GPU is not used. */
export function trtexecChecks(
  { jetson }: Pick<Facts, 'jetson'>,
  env: Environment = process.env,
): readonly Check[] {
  const isNamed = (env[TRTEXEC_VARIABLE] ?? '') !== '';
  if (jetson === undefined && !isNamed) return [];
  const run = (signal: AbortSignal) => checkTrtexec(env, signal);
  return [{ id: 'trtexec', title: 'trtexec, for TensorRT', severity: 'optional', run }];
}

async function checkTrtexec(env: Environment, signal: AbortSignal): Promise<Finding> {
  const place = await findTrtexec(env);
  if ('problem' in place) {
    const [found, mend] = splitFix(place.problem);
    return { ok: false, found, ...(mend === undefined ? {} : { mend }) };
  }
  const { path } = place;
  try {
    const { version } = await askTrtexec(path, signal);
    if (version === null) return { ok: true, found: `a version that it does not say: ${path}` };
    const text = versionText(version);
    return { ok: true, found: `version ${text}: ${path}`, facts: { version: text, path } };
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, found: messageOf(error), mend: REINSTALL, facts: { path } };
  }
}
