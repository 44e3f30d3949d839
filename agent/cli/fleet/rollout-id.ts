import { UsageError } from '../errors.ts';

/** Refuses what can be no rollout before anybody is asked. */
export async function checkRolloutId(id: string): Promise<void> {
  const { ID_PATTERN, ID_RULE } = await import('../../contracts/ids.ts');
  if (ID_PATTERN.test(id)) return;
  throw new UsageError(`${JSON.stringify(id)} is no id of a rollout: use ${ID_RULE}`);
}
