import { schemePresets, type Scheme } from '../contracts/scheme.ts';
import type { PlanFacts, PlanProfile } from './types.ts';

/** CPU flags after which 8-bit products are added in 32 bits (/proc/cpuinfo spelling). */
const VNNI = ['avx512_vnni', 'avx_vnni', 'avx_vnni_int8', 'amx_int8'];

export interface SchemeChoice {
  readonly scheme: Scheme;
  readonly why: string;
}

/**
 * x86 without VNNI multiplies u8 by s8 into 16 bits that saturate: results are wrong unless the
 * weights keep to 7 bits.
 */
export function saturates(facts: PlanFacts): boolean {
  const { arch, features } = facts.cpu;
  return arch === 'x64' && !features.some((feature) => VNNI.includes(feature));
}

function isX86(facts: PlanFacts): boolean {
  return facts.cpu.arch === 'x64';
}

/** The schemes of a method that suit this machine, the profile's favourite first; never empty. */
export function schemesFor(
  profile: PlanProfile,
  facts: PlanFacts,
  method: 'static' | 'dynamic',
): readonly SchemeChoice[] {
  const listed = profile.schemes.filter(
    (scheme) => scheme.precision === 'int8' && scheme.method === method,
  );
  const choices =
    listed.length === 0
      ? [fallback(facts, method)]
      : listed.map(({ activations, weights, perChannel, reduceRange, why }) => ({
          scheme: {
            ...schemePresets[`int8-${method}`],
            activations,
            weights,
            perChannel,
            reduceRange,
          },
          why,
        }));
  return unique(choices.map((choice) => fitRange(choice, facts)));
}

function fallback(facts: PlanFacts, method: 'static' | 'dynamic'): SchemeChoice {
  const preset = schemePresets[`int8-${method}`];
  if (isX86(facts) || method === 'dynamic') {
    return { scheme: preset, why: 'u8 activations are what this CPU multiplies fastest' };
  }
  return {
    scheme: { ...preset, activations: 's8' },
    why: 's8 activations and weights use the symmetric kernels of ARM',
  };
}

/** Whether 7 bits are needed is read from the CPU: one profile covers x86 with and without VNNI. */
function fitRange(choice: SchemeChoice, facts: PlanFacts): SchemeChoice {
  if (!isX86(facts)) return choice;
  const { scheme } = choice;
  const reduceRange = scheme.weights === 's8' && saturates(facts);
  const note = reduceRange ? '; 7-bit weights because this CPU has no VNNI' : '';
  return { scheme: { ...scheme, reduceRange }, why: `${choice.why}${note}` };
}

function unique(choices: readonly SchemeChoice[]): readonly SchemeChoice[] {
  const seen = new Map(choices.toReversed().map((one) => [JSON.stringify(one.scheme), one]));
  return choices.filter((one) => seen.get(JSON.stringify(one.scheme)) === one);
}

export const fp16Choice: SchemeChoice = {
  scheme: schemePresets.fp16,
  why: 'half the size, nearly exact',
};
