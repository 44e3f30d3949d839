import { useEffect, useRef, useState } from 'preact/hooks';

/** The width that an element has, in pixels. */
export function useWidth(before: number) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(before);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const watch = new ResizeObserver(() => {
      // None while it is being taken out of the page.
      if (element.clientWidth > 0) setWidth(element.clientWidth);
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return { box, width };
}
