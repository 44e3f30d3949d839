import type { Facts, RuntimeName } from '../../contracts/facts.ts';
import type { HardwareProfile } from '../../contracts/profile.ts';
import { TRTEXEC_VARIABLE, findTrtexec } from '../../runtime/tensorrt/places.ts';
import { askTrtexec, type Trtexec } from '../../runtime/tensorrt/tool.ts';
import { messageOf } from '../../util/errors.ts';
import type { Hooks } from '../types.ts';
import type { Subject } from '../subject.ts';

export interface TensorRtHere {
  readonly tool?: Trtexec;
  /** Why TensorRT cannot be used, and the fix; empty where it can, or nobody asked. */
  readonly unusable: ReadonlyMap<RuntimeName, string>;
}

type Machine = { readonly facts: Pick<Facts, 'accelerators'> } & {
  readonly profile: Pick<HardwareProfile, 'runtimes'>;
} & { readonly loaded: { readonly model: Pick<Subject['loaded']['model'], 'format'> } };

/** Looks for a trtexec where the profile or the command line names the runtime. */
export async function lookForTensorRt(
  { facts, profile, loaded }: Machine,
  asked: readonly RuntimeName[] | undefined,
  { signal }: Pick<Hooks, 'signal'>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<TensorRtHere> {
  const wanted = asked === undefined || asked.length === 0 ? profile.runtimes : asked;
  if (!wanted.includes('tensorrt') || loaded.model.format !== 'onnx') return not(NO_GPU);
  const gpu = facts.accelerators.find(({ kind }) => kind === 'nvidia-gpu');
  // Whoever names a trtexec may have a GPU that the probe does not know: a workstation's.
  const isTrusted = gpu === undefined && (env[TRTEXEC_VARIABLE] ?? '') !== '';
  if (gpu === undefined && !isTrusted) return not(NO_GPU);
  if (gpu?.usable === false) return not(gpu.problem ?? NO_GPU);
  const found = await findTrtexec(env);
  if ('problem' in found) return not(found.problem);
  try {
    return { tool: await askTrtexec(found.path, signal), unusable: new Map() };
  } catch (error) {
    signal.throwIfAborted();
    return not(messageOf(error));
  }
}

const NO_GPU = `no NVIDIA Jetson was found here; for another NVIDIA GPU name its trtexec in ${TRTEXEC_VARIABLE}`;

const not = (why: string): TensorRtHere => ({ unusable: new Map([['tensorrt', why]]) });
