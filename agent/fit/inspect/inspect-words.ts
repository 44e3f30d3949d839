import type { Comparison, LayerError } from '../../contracts/inspect.ts';
import { counted } from '../report/words.ts';

/** `26.3 dB`; no difference at all is `exact`. */
export function dbText(sqnrDb: number | null | undefined): string {
  if (sqnrDb === undefined) return '-';
  return sqnrDb === null ? 'exact' : `${sqnrDb.toFixed(1)} dB`;
}

/** `16 samples, SQNR of the outputs 26.3 dB, 40 layers compared, 3 not`. */
export function comparisonText({ samples, layers, unmatched, ...all }: Comparison): string {
  const left = unmatched.length === 0 ? '' : `, ${unmatched.length} not`;
  const total = 'sqnrDb' in all ? `, SQNR of the outputs ${dbText(all.sqnrDb)}` : '';
  return `${counted(samples, 'sample')}${total}, ${counted(layers.length, 'layer')} compared${left}`;
}

/** Whether it is known what any layer adds itself. */
export function isOwnKnown(layers: readonly LayerError[]): boolean {
  return layers.some(({ ownSqnrDb }) => ownSqnrDb !== undefined);
}

/**
 * What a layer adds, in dB; infinite for nothing. Where that is known of no layer, all error up to it.
 */
export function addedErrorDb(layer: LayerError, layers: readonly LayerError[]): number {
  const { sqnrDb, ownSqnrDb } = layer;
  return (isOwnKnown(layers) ? ownSqnrDb : sqnrDb) ?? Infinity;
}

/** The layers that add error, the worst first. */
export function worstLayers(layers: readonly LayerError[]): readonly LayerError[] {
  return layers
    .map((layer) => ({ layer, added: addedErrorDb(layer, layers) }))
    .filter(({ added }) => added < Infinity)
    .toSorted((a, b) => a.added - b.added)
    .map(({ layer }) => layer);
}

/** Layers behind which the SQNR is much lower than before them, the steepest fall first. */
export function steepestFalls(layers: readonly LayerError[], most: number): readonly LayerError[] {
  return layers
    .filter((layer) => fallDb(layer) >= STEEP_DB)
    .toSorted((a, b) => fallDb(b) - fallDb(a))
    .slice(0, most);
}

/** One bit. */
const STEEP_DB = 6;

function fallDb({ sqnrDb, inputSqnrDb }: LayerError): number {
  return typeof sqnrDb === 'number' && typeof inputSqnrDb === 'number' ? inputSqnrDb - sqnrDb : 0;
}
