import type { Models } from '../../contracts/dashboard.ts';
import type { FleetView } from './ports.ts';

interface Version {
  releaseCounter: number | null;
  manifestSha256: string | null;
  devices: number;
}

/** Names and versions that devices run or rollouts brought, the highest release first. */
export function modelsOf(fleet: FleetView): Models {
  const models = new Map<string, Map<string, Version>>();
  const versionOf = (name: string, version: string): Version => {
    const versions = models.get(name) ?? new Map<string, Version>();
    models.set(name, versions);
    const known = versions.get(version) ?? {
      releaseCounter: null,
      manifestSha256: null,
      devices: 0,
    };
    versions.set(version, known);
    return known;
  };
  for (const { model } of fleet.rows()) {
    if (model === null) continue;
    const version = versionOf(model.name, model.version);
    version.devices += 1;
    version.releaseCounter = Math.max(version.releaseCounter ?? 0, model.releaseCounter);
  }
  for (const { spec } of fleet.rollouts()) {
    const version = versionOf(spec.model.name, spec.model.version);
    version.releaseCounter ??= spec.model.releaseCounter ?? null;
    version.manifestSha256 ??= spec.model.manifestSha256 ?? null;
  }
  return {
    models: [...models]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, versions]) => ({
        name,
        versions: [...versions]
          .map(([version, rest]) => ({ version, ...rest }))
          .toSorted((a, b) => (b.releaseCounter ?? -1) - (a.releaseCounter ?? -1)),
      })),
  };
}
