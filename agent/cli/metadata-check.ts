import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { identityFiles } from '../fleet/identity/store.ts';
import type { Check, Finding } from '../util/check.ts';
import { messageOf } from '../util/errors.ts';

/** Whether the signed metadata that this device trusts lasts; nothing where none was ever enrolled. */
export async function metadataChecks(state: string, nowMs = Date.now()): Promise<readonly Check[]> {
  const { rootFile } = identityFiles(state);
  if (!existsSync(rootFile)) return [];
  return [
    {
      id: 'metadata',
      title: 'signed metadata of models',
      severity: 'optional',
      run: () => lookAt(dirname(rootFile), nowMs),
    },
  ];
}

async function lookAt(folder: string, nowMs: number): Promise<Finding> {
  const { trustedOffline } = await import('../deploy/tuf/refresh.ts');
  const { agingOf } = await import('../deploy/tuf/trusted-targets.ts');
  try {
    const expiries = (await trustedOffline(folder, nowMs)).expiries();
    const facts = { ...expiries };
    const [line] = agingOf(expiries, nowMs);
    if (line === undefined) return { ok: true, found: `good until ${expiries.targets}`, facts };
    return { ok: false, found: line, mend: 'whoever keeps its keys has to sign it anew', facts };
  } catch (error) {
    return {
      ok: false,
      found: messageOf(error),
      mend: 'see that models.repository is right and can be reached',
    };
  }
}
