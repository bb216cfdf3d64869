"""What de-identification cannot read, it refuses."""

from __future__ import annotations

import pytest

from shared.errors import DeidError
from workers.deid.language import check_language, check_script


@pytest.mark.parametrize(
    "text",
    [
        "医生您好,我在手机上看到",
        "Здравствуйте, доктор",
        "Please call Анна today",
        "p\u0430tient with a Cyrillic a",
        "مرحبا دكتور",
        "𝐉𝐨𝐡𝐧 in mathematical letters",
    ],
)
def test_another_script_is_refused(text: str) -> None:
    with pytest.raises(DeidError) as caught:
        check_script(text)

    assert caught.value.reason == "unknown_script"


@pytest.mark.parametrize(
    "text", ["50 µg of β-blocker, 3 m² – “fine”", "Xóchitl Barragán Ní Fhloinn, Nguyễn, Müller 🙂"]
)
def test_latin_letters_and_the_symbols_of_medicine_pass(text: str) -> None:
    check_script(text)


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour docteur, je suis enceinte et j'ai mal à la tête depuis hier, merci de me répondre",
        "Guten Tag, ich habe seit gestern starke Schmerzen und kann nicht schlafen, bitte Rückruf",
        "Olá, bom dia. Não estou bem, tenho dor e minha filha também, obrigada",
        "Tôi bị đau đầu",
        "Ich habe Schmerzen",
        "Mam bóle głowy od trzech dni, co mam robić",
        "Bonjou doktè, mwen gen yon doulè nan vant mwen depi yè, èske ou ka ede m, tanpri",
    ],
)
def test_a_language_without_coverage_is_refused(text: str) -> None:
    with pytest.raises(DeidError) as caught:
        check_language(text)

    assert caught.value.reason == "unknown_language"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tacro 1 mg, 90 day, mail order. 12 days on hand",
        "Buenas tardes, se me acaba la pastilla de la azúcar, la metformina de 850",
        "Estimado doctor, my mamá no puede dormir and she is en pain",
        "metoprolol 25 lisinopril 20 atorvastatin 40 eliquis 5 bid lasix 40 potassium gabapentin",
    ],
)
def test_english_spanish_and_clipped_lists_pass(text: str) -> None:
    check_language(text)
