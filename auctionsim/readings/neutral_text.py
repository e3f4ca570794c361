"""Text that has nothing to do with any brand: what an intervention does to it is harm."""

RANKING_TEXTS: tuple[str, ...] = (
    "The river rises in the hills to the north and takes four days to reach the sea. In spring it floods the meadows, "
    "and the farmers wait for the water to fall before they plough.",
    "To multiply two fractions, multiply the numerators and then the denominators. The product can often be simplified "
    "by dividing both by a common factor.",
    "She opened the letter at the kitchen table, read it twice, and put it back in its envelope. Outside, her brother "
    "was chopping wood and singing an old song out of tune.",
    "Plants turn sunlight into sugar. Water comes up from the roots, carbon dioxide enters through the leaves, and "
    "oxygen is given back to the air.",
    "The committee met on Tuesday to discuss the budget for next year. Two members asked for more money for the "
    "library; the others preferred to repair the roof of the school.",
    "A recursive function calls itself on a smaller input until it reaches a case that it can answer at once. Without "
    "such a case it would never stop.",
    "Chop the onions finely and fry them in a little oil until they are soft. Add the lentils, cover them with water, "
    "and let the pot simmer for half an hour.",
    "Mountains are worn down by wind, rain and ice. Over millions of years a sharp ridge becomes a gentle slope, and "
    "the stones end as sand on a distant shore.",
    "The patient should rest for a few days, drink enough water, and avoid heavy meals. If the fever does not go down "
    "within three days, a doctor should be asked.",
    "When the train stopped between two stations, nobody spoke. A child pressed her nose against the window and "
    "counted the lights of the village below.",
    "Supply and demand meet at a price where everything that is offered is also bought. If the price is held below "
    "that point, queues form.",
    "The telescope gathers faint light from galaxies so far away that it left them before the Earth had oceans.",
)
"""The harm of a neuron is estimated on these."""

VALIDATION_TEXTS: tuple[str, ...] = (
    "The tide comes in twice a day here. At low water you can walk to the island on the sand, but the path is gone "
    "again within three hours.",
    "An even number divided by two leaves no remainder. The sum of two odd numbers is always even, and so is the "
    "product of any number with an even one.",
    "The old clock in the hall had stopped at ten past four. Nobody could remember who used to wind it, or where the "
    "key was kept.",
    "Bread rises because yeast turns sugar into gas. The gas is caught in the dough, and the heat of the oven sets it "
    "in its shape.",
    "A court may hear a case again only if new facts have come to light. The judge decides whether they could have "
    "changed the outcome.",
    "Swallows leave in September and fly as far as the south of Africa. In April they come back to the same barns.",
    "To sort a list, split it into halves, sort each half, and merge the two. The merging takes as many steps as there "
    "are elements.",
    "The village lies where two roads cross. There is a market on Fridays, and in winter the upper road is closed by "
    "snow for weeks.",
)
"""Levers and rankings are chosen on these."""

HELD_OUT_TEXTS: tuple[str, ...] = (
    "Bees tell each other where flowers are by dancing on the comb. The angle of the dance shows the direction, and "
    "its length the distance.",
    "He had promised to be home before dark, but the path through the forest was longer than he remembered, and the "
    "snow had covered the marks on the trees.",
    "The area of a circle grows with the square of its radius, so a circle twice as wide covers four times the ground.",
    "In the north of the country the winters are long. People store potatoes in cellars and dry fish on wooden racks "
    "by the sea.",
    "A thermostat compares the temperature of a room with the one that was set and switches the heating on or off.",
    "The court found that the contract was valid, because both sides had signed it freely and knew what it said.",
    "Learning to play the violin takes patience. The first months are spent on holding the bow and playing open "
    "strings in tune.",
    "Water expands when it freezes, which is why ice floats and why pipes burst in a hard frost.",
)
"""`neutral_kl` is measured on these."""
