import { createTheme } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "cyan",
  primaryShade: { light: 9, dark: 4 },
  autoContrast: true,
  defaultRadius: "md",
  respectReducedMotion: true,
  fontFamily: "system-ui, sans-serif",
  headings: { fontWeight: "650" },
});
