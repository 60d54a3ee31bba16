import "@mantine/core/styles.css";
import { Title } from "@mantine/core";

/** The dashboard, with its code and styles: loaded by those who open /staff. */
export function Component() {
  return <Title>Boxoffice</Title>;
}
