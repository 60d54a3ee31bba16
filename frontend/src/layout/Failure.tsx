import { Button, Container, Stack, Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** What stands in place of a page whose code failed. */
export function Failure() {
  const { t } = useTranslation();
  return (
    <Container size="md" component="main" py="xl">
      <Stack align="flex-start">
        <Title order={1}>{t("failure.title")}</Title>
        <Text>{t("failure.unexpected")}</Text>
        <Button onClick={() => window.location.reload()}>{t("failure.reload")}</Button>
      </Stack>
    </Container>
  );
}
