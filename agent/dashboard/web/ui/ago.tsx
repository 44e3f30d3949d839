import { useEffect, useState } from 'preact/hooks';
import { onTick, serverNow } from '../state/clock.ts';
import { formatAgo, formatTime } from './format.ts';

/** How long ago something was, kept up to date. */
export function Ago({ ms }: { readonly ms: number | null | undefined }) {
  const [text, setText] = useState('');
  useEffect(() => {
    const update = () => setText(formatAgo(ms, serverNow()));
    update();
    return onTick(update);
  }, [ms]);
  const title = formatTime(ms);
  return <time title={title}>{text === '' ? formatAgo(ms, serverNow()) : text}</time>;
}
