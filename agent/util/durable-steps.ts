/**
 * The steps in which state that must survive a power cut is written, by util/durable.ts and
 * util/files.ts. An observer sees every one, so that a test can replay what a disk may hold after a
 * power cut at any point.
 */
export type DurableStep =
  | { readonly step: 'mkdir'; readonly path: string }
  | { readonly step: 'write'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly step: 'sync'; readonly path: string }
  | { readonly step: 'rename'; readonly from: string; readonly to: string }
  | { readonly step: 'symlink'; readonly path: string; readonly target: string }
  | { readonly step: 'remove'; readonly path: string }
  | { readonly step: 'sync-folder'; readonly path: string };

let observe: (step: DurableStep) => void = () => undefined;

/** Sends every step to an observer, before it is taken; returns what ends it. */
export function observeDurable(observer: (step: DurableStep) => void): () => void {
  observe = observer;
  return () => {
    observe = () => undefined;
  };
}

/** Says what is about to be done. */
export function tellStep(step: DurableStep): void {
  observe(step);
}
