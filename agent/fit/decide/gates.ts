import type { Gates } from '../../contracts/manifest.ts';
import type { Objective, ObjectiveRequest } from '../types.ts';

/** What was asked for, with the gates of the package where nothing was. */
export function withGates(asked: ObjectiveRequest, gates: Gates): ObjectiveRequest {
  const set = { ...asked };
  const names: string[] = [];
  for (const name of ['maxAccuracyDrop', 'minSqnrDb', 'maxP90Ms', 'maxRssBytes'] as const) {
    const limit = gates[name];
    if (limit === undefined || (asked[name] ?? null) !== null) continue;
    Object.assign(set, { [name]: limit });
    names.push(name);
  }
  return names.length === 0 ? asked : { ...set, gates: names };
}

/** What a gate could not be checked for, and what is judged instead. */
export function gateWarnings(gates: Gates, enforced: Objective): readonly string[] {
  if (gates.maxAccuracyDrop === undefined || enforced.maxAccuracyDrop !== null) return [];
  return [
    'the gate maxAccuracyDrop of the package needs labelled samples, and there are none: SQNR is judged instead',
  ];
}
