import type { Gates, SampleSetSpec } from '../../contracts/manifest.ts';
import type { PackContents, PackVariantFile } from '../../model/manifest/contents.ts';

/** What of other rooms is needed. */
export interface PackTools {
  /** Copies a part of a sample set into a folder; returns the set, relative to it. */
  readonly copySamples: (
    set: SampleSetSpec,
    inputs: PackContents['inputs'],
    target: { readonly folder: string; readonly name: string },
  ) => Promise<SampleSetSpec>;
  /** Writes the integer-only version. Throws where an operator has none. */
  readonly makeIntegerOnly: (output: string) => Promise<{ readonly warnings: readonly string[] }>;
  /** Opens a model file and says what it is. */
  readonly describe: (path: string) => Promise<PackVariantFile & { readonly onCpu: number | null }>;
}

export interface PackRequest {
  readonly source: PackContents;
  /** The folder to make. */
  readonly output: string;
  readonly name: string | undefined;
  readonly version: string | undefined;
  /** In place of those of the manifest, one by one. */
  readonly gates: Gates;
  readonly labels: string | undefined;
  readonly replace: boolean;
  readonly edgeTpu: EdgeTpuRequest;
}

export interface EdgeTpuRequest {
  /** `auto`: where it can be done, and a warning where it fails. */
  readonly wanted: 'yes' | 'no' | 'auto';
  /** The compiler, if there is one. */
  readonly program: string | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface PackHooks {
  readonly signal: AbortSignal;
  readonly progress: (event: { readonly phase: string }) => void;
}
