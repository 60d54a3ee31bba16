import { Center, Loader } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** While the code of a part is on its way. */
export function Opening() {
  const { t } = useTranslation();
  return (
    <Center h="100vh">
      <Loader role="status" aria-label={t("loading")} />
    </Center>
  );
}
