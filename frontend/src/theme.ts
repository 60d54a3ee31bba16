import { createTheme } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "cyan",
  primaryShade: 9, // white on it is readable in both schemes
  defaultRadius: "md",
  respectReducedMotion: true,
  fontFamily: "system-ui, sans-serif",
  headings: { fontWeight: "650" },
});
