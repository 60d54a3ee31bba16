import { useMemo } from "react";
import { encode } from "uqr";

/** Modules of white around a code, so that scanners find it (ISO/IEC 18004 asks for four). */
const QUIET = 4;

/** A QR code, dark on white also where the page is dark. */
export default function TicketCode({ code, label, className }: { code: string; label: string; className?: string }) {
  const { size, path } = useMemo(() => {
    const { data } = encode(code, { ecc: "M", border: QUIET });
    const dark = data.flatMap((row, y) => row.flatMap((set, x) => (set ? [`M${x} ${y}h1v1h-1z`] : [])));
    return { size: data.length, path: dark.join("") };
  }, [code]);
  return (
    <svg
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={label}
      className={className}
      shapeRendering="crispEdges"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
