import "./styles"; // before all others, so that a component's own style has the last word
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router";
import { queries } from "./api/client";
import "./i18n";
import { router } from "./routes";
import { theme } from "./theme";

const nonce = document.querySelector<HTMLMetaElement>("meta[name=nonce]")?.content ?? "";
Object.assign(window, { __webpack_nonce__: nonce }); // what keeps the page still behind a dialog takes it from there, whatever built it
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
