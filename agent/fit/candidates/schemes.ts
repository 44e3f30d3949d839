import type { RuntimeName } from '../../contracts/facts.ts';
import { schemePresets, type Scheme, type SchemeName } from '../../contracts/scheme.ts';
import type { PlanFacts, PlanProfile, ProfileScheme } from '../types.ts';

/** CPU flags after which 8-bit products are added in 32 bits (/proc/cpuinfo spelling). */
const VNNI = ['avx512_vnni', 'avx_vnni', 'avx_vnni_int8', 'amx_int8'];

export interface SchemeChoice {
  readonly scheme: Scheme;
  readonly why: string;
}

function isX86(facts: PlanFacts): boolean {
  return facts.cpu.arch === 'x64';
}

/**
 * x86 without VNNI multiplies u8 by s8 into 16 bits that saturate: results are wrong unless the
 * weights keep to 7 bits.
 */
export function saturates(facts: PlanFacts): boolean {
  return isX86(facts) && !facts.cpu.features.some((feature) => VNNI.includes(feature));
}

/** The schemes that profiles know; the others are what they are wherever they run. */
const ADVISED: ReadonlySet<SchemeName> = new Set(['int8-static', 'int8-dynamic', 'fp16']);

/** What the profile lists for a scheme on a runtime, its favourite first. */
export function listedSchemes(
  profile: PlanProfile,
  name: SchemeName,
  runtime: RuntimeName,
): readonly ProfileScheme[] {
  if (!ADVISED.has(name)) return [];
  return profile.schemes.filter(
    ({ precision, method, runtimes }) =>
      schemePresets[name].method === method &&
      precision === (name === 'fp16' ? 'fp16' : 'int8') &&
      (runtimes?.includes(runtime) ?? true),
  );
}

/**
 * The forms of a scheme that suit this machine, the best first; never empty: what the profile does
 * not list follows from the CPU.
 */
export function schemesFor(
  profile: PlanProfile,
  facts: PlanFacts,
  name: SchemeName,
  runtime: RuntimeName,
): readonly SchemeChoice[] {
  if (name === 'int8-only') {
    return schemesFor(profile, facts, 'int8-static', runtime).map((choice) => ({
      ...choice,
      scheme: { ...choice.scheme, integerOnly: true },
    }));
  }
  const listed = listedSchemes(profile, name, runtime);
  const choices =
    listed.length === 0
      ? [fallback(facts, name)]
      : listed.map((one) => ({ scheme: toScheme(one, name), why: one.why }));
  return unique(choices.map((choice) => fitRange(choice, facts)));
}

function toScheme(listed: ProfileScheme, name: SchemeName): Scheme {
  const preset: Scheme = schemePresets[name];
  return {
    ...preset,
    activations: listed.activations ?? preset.activations,
    weights: listed.weights ?? preset.weights,
    perChannel: listed.perChannel ?? preset.perChannel,
    reduceRange: listed.reduceRange ?? preset.reduceRange,
  };
}

function fallback(facts: PlanFacts, name: SchemeName): SchemeChoice {
  const preset: Scheme = schemePresets[name];
  if (name === 'fp16') return { scheme: preset, why: 'half the size, nearly exact' };
  if (!ADVISED.has(name)) return { scheme: preset, why: 'the same on every machine' };
  if (isX86(facts) || name === 'int8-dynamic') {
    return { scheme: preset, why: 'u8 activations are what the kernels take' };
  }
  return {
    scheme: { ...preset, activations: 's8' },
    why: 's8 activations and weights use the symmetric kernels of ARM',
  };
}

/** The CPU has the last word on 7 bits: a profile may be matched by board alone. */
function fitRange(choice: SchemeChoice, facts: PlanFacts): SchemeChoice {
  const { scheme, why } = choice;
  if (!isX86(facts) || scheme.weights !== 's8') return choice;
  const reduceRange = saturates(facts);
  if (reduceRange === scheme.reduceRange) return choice;
  const note = reduceRange ? '7-bit weights: this CPU has no VNNI' : '8-bit weights: it has VNNI';
  return { scheme: { ...scheme, reduceRange }, why: `${why}; ${note}` };
}

function unique(choices: readonly SchemeChoice[]): readonly SchemeChoice[] {
  const seen = new Set<string>();
  return choices.filter(({ scheme }) => {
    const key = JSON.stringify(scheme);
    return !seen.has(key) && seen.add(key);
  });
}
